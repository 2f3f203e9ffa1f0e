"""Source files of a folder: the standard library, or a user's own repository with its ignore rules."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pathspec


def read_folder(
    folder: Path, wanted: Callable[[str], bool], max_bytes: int
) -> Iterator[tuple[str, bytes]]:
    """Yield (path inside the folder, content) of the regular files that ``wanted`` accepts, sorted by path.

    In a git work tree: what git tracks or would track; elsewhere: what the ``.gitignore`` files leave. Links are passed over.
    """
    for name in sorted(_git_files(folder) or _walk(folder)):
        path = folder / name
        if wanted(name) and path.is_file() and not path.is_symlink() and path.stat().st_size <= max_bytes:
            yield name, path.read_bytes()


def _git_files(folder: Path) -> list[str]:
    command = ["git", "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, capture_output=True)
    except FileNotFoundError:
        return []
    return sorted({name.decode("utf-8", "replace") for name in done.stdout.split(b"\0") if name})


def _walk(folder: Path) -> Iterator[str]:
    rules: dict[Path, pathspec.GitIgnoreSpec] = {}
    for top, folders, files in os.walk(folder):
        parent = Path(top)
        if ".gitignore" in files:
            lines = (parent / ".gitignore").read_text(encoding="utf-8", errors="replace").splitlines()
            rules[parent] = pathspec.GitIgnoreSpec.from_lines(lines)
        above = [root for root in (parent, *parent.parents) if root in rules]

        def ignored(name: str, suffix: str = "") -> bool:
            return any(rules[root].match_file((parent / name).relative_to(root).as_posix() + suffix) for root in above)

        folders[:] = [name for name in folders if name[0] != "." and name != "site-packages" and not ignored(name, "/")]
        yield from ((parent / name).relative_to(folder).as_posix() for name in files if not ignored(name))
