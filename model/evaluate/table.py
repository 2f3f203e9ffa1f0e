"""Results as text for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from model.evaluate.task import Row


def number(value: float | None, unit: str = "") -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if not unit else f"{value:.1f} {unit}"


def interval(row: Row) -> str:
    if row.low is None or row.high is None:
        return ""
    return (
        f"[{number(row.low)}, {number(row.high)}]"
        if not row.unit
        else (f"[{row.low:.1f}, {row.high:.1f}]")
    )


def render(rows: Sequence[Row]) -> str:
    """The rows in aligned columns; the last one only where there is something to compare with."""
    cells = [["", "", "value", "95 % interval", "of", "SantaCoder 1.1B"]]
    for row in rows:
        published = f"{row.published:g}" if row.published is not None else ""
        shown = [number(row.value, row.unit), interval(row), str(row.count), published]
        cells.append([row.group, row.metric, *shown])
    if not any(row.published is not None for row in rows):
        cells = [line[:-1] for line in cells]
    return aligned(cells)


def aligned(cells: Sequence[Sequence[str]]) -> str:
    """The first two columns to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    )
