"""Whose work a corpus is: its NOTICE, with copyright statements and licence texts."""

from __future__ import annotations

import dataclasses

from .manifest import Project


@dataclasses.dataclass(slots=True)
class Notice:
    """Collects the statements that each project wants kept with copies of its code."""

    _lines: list[str] = dataclasses.field(default_factory=list)
    # Many projects bring the same text, differently broken into lines: each is kept once.
    _texts: dict[str, tuple[str, list[str]]] = dataclasses.field(default_factory=dict)

    def add(self, project: Project, copyrights: set[str], texts: dict[str, str]) -> None:
        """Take in a project: its copyright statements, and its licence texts by path."""
        title = f"{project.name} {project.version} ({project.registry})"
        self._lines.append(f"{title}: {project.licence or 'own code'}")
        self._lines += [f"    {line}" for line in sorted(copyrights)]
        for path, text in sorted(texts.items()):
            _, users = self._texts.setdefault(" ".join(text.split()), (text, []))
            users.append(f"{title}, {path}")

    def __str__(self) -> str:
        parts = ["\n".join(self._lines) + "\n"]
        for text, users in self._texts.values():
            parts.append("=" * 100 + "\n" + "\n".join(users) + "\n\n" + text.strip() + "\n")
        return "\n".join(parts)
