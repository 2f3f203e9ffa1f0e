"""Sources of files: an archive, the standard library, the user's own folder."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pathspec

from model.languages import language_of

from .archives import Wanted, read_archive
from .documents import CorpusError
from .evidence import is_evidence
from .filters import MAX_BYTES
from .manifest import Project


def _is_wanted(name: str) -> bool:
    return language_of(name) is not None or is_evidence(name)


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A project and where it lies: an archive or a folder."""

    project: Project
    path: Path

    @property
    def is_own(self) -> bool:
        """Whether it is the user's own code rather than a project of the manifest."""
        return self.project.registry == "local"

    def read(self, wanted: Wanted = _is_wanted) -> Iterator[tuple[str, bytes]]:
        """Yield (path inside the project, content) of source files and evidence of their licence.

        Files over `MAX_BYTES` are passed over. Raises CorpusError for a damaged archive.
        """
        if self.path.is_dir():
            yield from read_folder(self.path, wanted)
            return
        only = self.project.only
        for name, content in read_archive(self.path, wanted, MAX_BYTES):
            # Tarballs hold everything in one top folder, wheels do not.
            path = name if self.project.registry == "pypi" else name.partition("/")[2] or name
            in_only = any(path.startswith(f"{folder}/") for folder in only)
            if in_only or not only or language_of(path) is None:
                yield path, content


def standard_library(project: Project) -> Source:
    """The running interpreter's own library, also if the manifest names another version."""
    version = ".".join(map(str, sys.version_info[:3]))
    path = Path(sysconfig.get_path("stdlib"))
    return Source(dataclasses.replace(project, version=version), path)


def own_source(folder: Path) -> Source:
    """A user's own folder, under its own name; its licence is theirs to know."""
    if not folder.is_dir():
        raise CorpusError(f"{folder} is not a folder")
    return Source(Project("local", folder.resolve().name, "", ""), folder)


def read_folder(folder: Path, wanted: Wanted) -> Iterator[tuple[str, bytes]]:
    """Yield (path inside the folder, content) of the regular files ``wanted`` accepts, by path.

    In a git work tree, those that git tracks or would track; elsewhere, those that ``.gitignore``
    files leave.
    Links are passed over.
    """
    for name in sorted(_git_files(folder) or _walk(folder)):
        path = folder / name
        if (
            wanted(name)
            and path.is_file()
            and not path.is_symlink()
            and path.stat().st_size <= MAX_BYTES
        ):
            yield name, path.read_bytes()


def _git_files(folder: Path) -> set[str]:
    command = ["git", "-C", str(folder), "ls-files", "-z", "--cached", "--others"]
    try:
        done = subprocess.run([*command, "--exclude-standard"], capture_output=True)
    except FileNotFoundError:
        return set()
    return {os.fsdecode(name) for name in done.stdout.split(b"\0") if name}


def _walk(folder: Path) -> Iterator[str]:
    rules: dict[Path, pathspec.GitIgnoreSpec] = {}

    def is_ignored(path: Path, mark: str = "") -> bool:
        return any(
            rules[root].match_file(path.relative_to(root).as_posix() + mark)
            for root in path.parents
            if root in rules
        )

    for top, folders, files in os.walk(folder):
        parent = Path(top)
        if ".gitignore" in files:
            text = (parent / ".gitignore").read_text(encoding="utf-8", errors="replace")
            rules[parent] = pathspec.GitIgnoreSpec.from_lines(text.splitlines())
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".")
            and name not in ("site-packages", "dist-packages")
            and not is_ignored(parent / name, "/")
        ]
        for name in files:
            if not is_ignored(parent / name):
                yield (parent / name).relative_to(folder).as_posix()
