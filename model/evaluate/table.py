"""Results as text for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from model.evaluate.task import Row


def number(value: float | None, unit: str = "") -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if not unit else f"{value:.1f} {unit}"


def interval(low: float | None, high: float | None, unit: str = "") -> str:
    if low is None or high is None:
        return ""
    return f"[{low:.1f}, {high:.1f}]" if unit else f"[{low:.4f}, {high:.4f}]"


def cells(rows: Sequence[Row]) -> list[list[str]]:
    """Head and rows; published figures only where there are some."""
    found = [["", "", "value", "95 % interval", "of", "SantaCoder 1.1B"]]
    for row in rows:
        published = f"{row.published:g}" if row.published is not None else ""
        shown = [number(row.value, row.unit), interval(row.low, row.high, row.unit)]
        found.append([row.group, row.metric, *shown, str(row.count), published])
    if not any(row.published is not None for row in rows):
        found = [line[:-1] for line in found]
    return found


def render(rows: Sequence[Row]) -> str:
    return aligned(cells(rows))


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
