"""The list of projects that a corpus is made of, read from a TOML manifest."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path
from typing import Any

from .documents import CorpusError
from .licences import is_permissive

STANDARD_LIBRARY = "python-stdlib"
REGISTRIES = ("pypi", "npm", "debian", STANDARD_LIBRARY)
DEFAULT_MANIFEST = Path(__file__).parent.parent / "corpus.toml"


@dataclasses.dataclass(frozen=True, slots=True)
class Project:
    """One project of the manifest: its archive, and its licence (an SPDX expression)."""

    registry: str
    name: str
    version: str
    licence: str
    sha256: str = (
        ""  # of the archive that the registry's client brings; empty only for python-stdlib
    )
    only: tuple[str, ...] = ()  # if given, only paths under these folders of the archive

    @property
    def key(self) -> str:
        """``registry:name``, unique in a manifest."""
        return f"{self.registry}:{self.name}"


@dataclasses.dataclass(frozen=True, slots=True)
class Manifest:
    """The projects in order, and the ``registry:name`` keys that are kept for evaluation only."""

    projects: tuple[Project, ...]
    held_out: frozenset[str]

    def select(self, names: list[str]) -> tuple[Project, ...]:
        """The projects called ``names`` (or ``registry:name``), in the manifest's order."""
        known = {alias for project in self.projects for alias in (project.name, project.key)}
        if unknown := [name for name in names if name not in known]:
            raise CorpusError(
                f"not in the manifest: {', '.join(unknown)}; add a line for each or mend --only"
            )
        return tuple(p for p in self.projects if p.name in names or p.key in names)


def read_manifest(path: Path = DEFAULT_MANIFEST) -> Manifest:
    """Read and check a manifest. Raises CorpusError naming the entry that is wrong."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CorpusError(f"cannot read the manifest {path}: {error.strerror}") from error
    except ValueError as error:
        raise CorpusError(f"{path} is not valid TOML: {error}") from error
    projects = tuple(_project(entry, path) for entry in table.get("projects", []))
    held_out = frozenset(table.get("held_out", []))
    keys = [project.key for project in projects]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise CorpusError(f"{path}: listed twice: {', '.join(twice)}; keep one line each")
    if both := sorted(held_out.intersection(keys)):
        raise CorpusError(
            f"{path}: held out for evaluation, so never trained on: {', '.join(both)}; "
            "take them out of projects or out of held_out"
        )
    return Manifest(projects, held_out)


def _project(entry: dict[str, Any], path: Path) -> Project:
    where = f"{path}: {entry.get('registry', '?')}:{entry.get('name', '?')}"
    try:
        project = Project(**entry | {"only": tuple(entry.get("only", ()))})
    except TypeError as error:
        names = ", ".join(field.name for field in dataclasses.fields(Project))
        raise CorpusError(f"{where}: {error}; an entry has {names}") from error
    texts = dataclasses.astuple(project)[:-1] + project.only
    if not all(isinstance(text, str) for text in texts):
        raise CorpusError(f"{where}: every value is a string, but for the list only")
    if project.registry not in REGISTRIES:
        raise CorpusError(f"{where}: unknown registry; use one of {', '.join(REGISTRIES)}")
    if not is_permissive(project.licence):
        raise CorpusError(
            f"{where}: {project.licence} is not a permissive licence: leave the project out"
        )
    if project.registry != STANDARD_LIBRARY and not re.fullmatch("[0-9a-f]{64}", project.sha256):
        raise CorpusError(
            f"{where}: needs the archive's sha256; it is printed by "
            f"`python -m model.corpus pin {project.registry} {project.name}`"
        )
    return project
