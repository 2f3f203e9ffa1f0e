"""The figures as a small SVG, drawn here so that serving needs no plotting library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

from santa_lsp.bench.table import ROWS, head, sections

WIDTH, HEIGHT = 800, 280
LEFT, TOP, RIGHT, BOTTOM = 60, 40, 240, 44
#: One for each row of a replay, so that a row has the same colour in each panel.
COLOURS = (
    *("#0072b2", "#56b4e9", "#009e73", "#d55e00", "#cc79a7", "#f0c000", "#000000", "#7b3fa0"),
    "#999999",
)

#: Points of a curve at most; more are not visible.
POINTS = 120


def svg(result: dict[str, Any]) -> str:
    """Panels one below the other: the distributions of latencies at each pace, of starts and of
    cancels; or the server's memory over a soak."""
    if soak := result.get("soak"):
        panels = [_growth(soak)]
    else:
        timed = list(sections(result))
        every = [ms for _, rows in timed for values in rows.values() for ms in values]
        low = math.floor(math.log10(max(min(every), 0.1)))
        high = max(low + 1, math.ceil(math.log10(max(every))))
        panels = [_distributions(title, rows, low, high) for title, rows in timed]
    caption = head(result)
    height = HEIGHT * len(panels) + 24
    body = "".join(
        f'<g transform="translate(0,{HEIGHT * number})">{panel}</g>'
        for number, panel in enumerate(panels)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{body}'
        f"{_text(LEFT, height - 10, caption, fill='#555555')}</svg>\n"
    )


def _distributions(title: str, rows: dict[str, list[float]], low: int, high: int) -> str:
    """Cumulative distributions from 10**low to 10**high ms."""
    shown = {name: sorted(rows[name]) for name in ROWS if rows.get(name)}

    def x(ms: float) -> float:
        place = (math.log10(max(ms, 10.0**low)) - low) / (high - low)
        return LEFT + place * (WIDTH - LEFT - RIGHT)

    def y(share: float) -> float:
        return TOP + (1 - share) * (HEIGHT - TOP - BOTTOM)

    parts = [_text(LEFT, 22, f"{title}: share answered within", size=14)]
    for exponent in range(low, high + 1):
        at = x(10.0**exponent)
        parts.append(_line([(at, y(0)), (at, y(1))], "#dddddd"))
        parts.append(_text(at, y(0) + 16, _milliseconds(10.0**exponent), anchor="middle"))
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(_line([(x(10.0**low), y(share)), (x(10.0**high), y(share))], "#dddddd"))
        parts.append(_text(LEFT - 6, y(share) + 4, f"{share:.0%}", anchor="end"))
    for number, (name, values) in enumerate(shown.items()):
        colour = COLOURS[list(ROWS).index(name) % len(COLOURS)]
        parts.append(_line([(x(ms), y(share)) for ms, share in _steps(values)], colour, 2))
        label_y = TOP + 8 + 19 * number
        start = WIDTH - RIGHT + 14
        parts.append(_line([(start, label_y), (start + 18, label_y)], colour, 3))
        parts.append(_text(start + 24, label_y + 4, f"{name} ({len(values)})"))
    return "".join(parts)


def _steps(ordered: Sequence[float]) -> list[tuple[float, float]]:
    """The cumulative distribution of sorted values as stairs of POINTS steps at most."""
    count = len(ordered)
    kept = [*range(0, count, max(1, count // POINTS)), count - 1]
    stairs, reached = list[tuple[float, float]](), 0.0
    for each in kept:
        stairs += [(ordered[each], reached), (ordered[each], (each + 1) / count)]
        reached = (each + 1) / count
    return stairs


def _growth(soak: dict[str, Any]) -> str:
    samples = [each for each in soak["samples"] if each["resident"] is not None]
    most = max((each["resident"] for each in samples), default=1) * 1.1
    keys = max(1, soak["keys"])

    def point(pressed: int, held: float) -> tuple[float, float]:
        return (
            LEFT + pressed / keys * (WIDTH - LEFT - 40),
            TOP + (1 - held / most) * (HEIGHT - TOP - BOTTOM),
        )

    parts = [_text(LEFT, 22, f"memory of the server, {soak['files']} files", size=14)]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        left, right = point(0, share * most), point(keys, share * most)
        parts.append(_line([left, right], "#dddddd"))
        parts.append(_text(LEFT - 6, left[1] + 4, f"{share * most / 1e6:.0f} MB", anchor="end"))
        at = point(int(share * keys), 0)
        parts.append(_text(at[0], at[1] + 16, f"{share * keys:.0f} keys", anchor="middle"))
    for name, colour in (("resident", COLOURS[0]), ("prefix cache", COLOURS[3])):
        points = [point(each["keys"], each[name] or 0) for each in samples]
        parts.append(_line(points, colour, 2))
        if points:
            parts.append(_text(points[-1][0] - 4, points[-1][1] - 6, name, anchor="end"))
    return "".join(parts)


def _milliseconds(ms: float) -> str:
    return f"{ms / 1000:g} s" if ms >= 1000 else f"{ms:g} ms"


def _line(points: Sequence[tuple[float, float]], colour: str, width: int = 1) -> str:
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="{width}"/>'


def _text(
    x: float, y: float, words: str, *, size: int = 12, anchor: str = "start", fill: str = "#111111"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
        f'fill="{fill}">{escape(words)}</text>'
    )
