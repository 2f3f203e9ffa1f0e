"""The corpus's table as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from .build import Table


def format_table(table: Table) -> str:
    """Files and size by language and licence, then the files that each filter removed."""
    rows = [("language", "licence", "files", "MB", "tokens")]
    for language, licences in table["languages"].items():
        for licence, counts in licences.items():
            rows.append((language, licence, *_cells(counts)))
        total: Counter[str] = sum(map(Counter, licences.values()), Counter())
        rows.append((language, "all", *_cells(total)))
    removed = sorted(table["removed"].items(), key=lambda item: (-item[1], item[0]))
    lines = _aligned(rows, "<<>>>")
    lines += ["", *_aligned([("removed", "files"), *((r, f"{n:,}") for r, n in removed)], "<>")]
    if table["evaluation"] is None:
        lines += ["", "not decontaminated: no evaluation data were given"]
    else:
        sets = [("evaluation set", "13-word runs", "files removed")]
        sets += [(n, f"{s['runs']:,}", f"{s['files']:,}") for n, s in table["evaluation"].items()]
        lines += ["", *_aligned(sets, "<>>")]
    if table["held_out"]:
        lines += ["", "held out, never trained on: " + ", ".join(table["held_out"])]
    for package, problem in table["licence_problems"].items():
        lines += ["", f"left out, licence not confirmed: {package}: {problem}"]
    return "\n".join(lines)


def _cells(counts: dict[str, int]) -> tuple[str, str, str]:
    tokens = f"{counts['tokens']:,}" if "tokens" in counts else ""
    return f"{counts.get('files', 0):,}", f"{counts.get('bytes', 0) / 1e6:,.1f}", tokens


def _aligned(rows: Sequence[tuple[str, ...]], sides: str) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:{s}{w}}" for cell, s, w in zip(row, sides, widths, strict=True)).rstrip()
        for row in rows
    ]
