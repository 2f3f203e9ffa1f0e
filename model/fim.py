"""Turning a text into a fill-in-the-middle training example, as SantaCoder was trained.

With probability `fim_rate` a text is cut into prefix, middle and suffix, and with probability
`spm_rate` the parts come in SPM order, else PSM; the parts are tokenized separately
(arXiv:2301.03988 §4.2). The order of the parts is the serving path's own,
`santa_lsp.prompt.assemble`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from santa_lsp.prompt import Encode, FimIds, assemble

Unit = Literal["characters", "lines"]
Parts = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class FimConfig:
    """Rates in 0..1. `line_rate` is the share of cuts like an editor's; SantaCoder's is 0."""

    fim_rate: float = 0.5
    spm_rate: float = 0.5
    line_rate: float = 0.0

    def __post_init__(self) -> None:
        for name in ("fim_rate", "spm_rate", "line_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, not {getattr(self, name)}")


def cut_characters(text: str, rng: random.Random) -> Parts:
    """Two uniform character positions; any of the three parts may be empty."""
    start, end = sorted((rng.randint(0, len(text)), rng.randint(0, len(text))))
    return text[:start], text[start:end], text[end:]


def cut_lines(text: str, rng: random.Random) -> Parts:
    """From somewhere in a line to the end of that line, or of one of the next few.

    Half of the cuts start where the line's text starts, the others uniformly within it.
    """
    lines = text.split("\n")
    full = [i for i, line in enumerate(lines) if line.strip()]
    if not full:
        return cut_characters(text, rng)
    first = rng.choice(full)
    last = min(first + rng.choice((0, 0, 0, 0, 1, 2, 3, 5)), len(lines) - 1)
    start = sum(len(line) + 1 for line in lines[:first])
    end = start + sum(len(line) + 1 for line in lines[first : last + 1]) - 1
    indent = len(lines[first]) - len(lines[first].lstrip())
    column = indent if rng.random() < 0.5 else rng.randint(0, len(lines[first]))
    return text[: start + column], text[start + column : end], text[end:]


CUTS: dict[Unit, Callable[[str, random.Random], Parts]] = {
    "characters": cut_characters,
    "lines": cut_lines,
}


def example(
    text: str,
    encode: Encode,
    fim: FimIds,
    end_of_text: int,
    config: FimConfig,
    rng: random.Random,
    ends: bool = True,
) -> list[int]:
    """Token ids of one training example.

    A middle is always closed by end-of-text: it is complete, given its suffix. A text that is left
    as it is gets one only when it `ends` its document.
    """
    if rng.random() >= config.fim_rate:
        return [*encode(text), *([end_of_text] if ends else [])]
    unit: Unit = "lines" if rng.random() < config.line_rate else "characters"
    prefix, middle, suffix = CUTS[unit](text, rng)
    order = "spm" if rng.random() < config.spm_rate else "psm"
    return [*assemble(fim, order, encode(prefix), encode(suffix)), *encode(middle), end_of_text]
