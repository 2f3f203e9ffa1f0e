"""Bars with their intervals as a small inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

LABEL, BAR, FIGURE, LINE = 230, 420, 110, 22


@dataclass(frozen=True, slots=True)
class Bar:
    """`mark` is another figure to show beside this one."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    mark: float | None = None


def bars(found: Sequence[Bar], unit: str = "") -> str:
    """One horizontal bar a line, from 0 to a round number above everything shown."""
    top = ceiling(
        max(value or 0 for bar in found for value in (bar.value, bar.high, bar.mark)) or 1.0
    )
    height = LINE * len(found) + 20

    def x(value: float) -> float:
        return round(LABEL + BAR * max(0.0, value) / top, 1)

    parts = []
    for number, bar in enumerate(found):
        y = LINE * number
        middle = y + LINE / 2
        parts.append(
            f'<text x="{LABEL - 8}" y="{middle + 4}" text-anchor="end">{escape(bar.label)}</text>'
            f'<rect class="bar" x="{LABEL}" y="{y + 4}" width="{x(bar.value) - LABEL:.1f}"'
            f' height="{LINE - 8}"/>'
            f'<text x="{LABEL + BAR + 8}" y="{middle + 4}">{bar.value:.4g}{escape(unit)}</text>'
        )
        if bar.low is not None and bar.high is not None:
            parts.append(
                f'<path class="interval" d="M{x(bar.low)} {middle}H{x(bar.high)}'
                f'M{x(bar.low)} {middle - 4}v8M{x(bar.high)} {middle - 4}v8"/>'
            )
        if bar.mark is not None:
            at = x(bar.mark)
            parts.append(
                f'<path class="mark" d="M{at} {middle - 6}l5 6l-5 6l-5-6z">'
                f"<title>SantaCoder 1.1B: {bar.mark:g}</title></path>"
            )
    axis = height - 6
    for share in (0, 0.25, 0.5, 0.75, 1):
        parts.append(
            f'<path class="grid" d="M{x(share * top)} 0V{axis - 12}"/>'
            f'<text class="tick" x="{x(share * top)}" y="{axis}" text-anchor="middle">'
            f"{share * top:.3g}</text>"
        )
    width = LABEL + BAR + FIGURE
    return f'<svg viewBox="0 0 {width} {height}" role="img">{"".join(parts)}</svg>'


def ceiling(value: float) -> float:
    """The next of 1, 2, 5, 10 … times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9))
