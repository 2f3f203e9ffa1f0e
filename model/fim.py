"""Turning a text into a fill-in-the-middle training example, as SantaCoder was trained.

With probability `fim_rate` a text is cut into prefix, middle and suffix, and with probability
`spm_rate` the parts come in SPM order, else PSM; the parts are tokenized separately
(arXiv:2301.03988 §4.2). The order of the parts is the serving path's own,
`santa_lsp.families.prompt.assemble`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from model.cuts import Unit, cut
from santa_lsp.families.prompt import Encode, FimIds, Order, assemble, path_comment

#: Share of the texts whose path comment has a path: an unnamed file has none.
WITH_PATH = 0.8


@dataclass(frozen=True, slots=True)
class FimConfig:
    """Rates in 0..1; the defaults are SantaCoder's.

    `line_rate` and `node_rate` are the shares of the cuts like an editor's and along syntax; the
    others are cuts at uniform characters. With `path_comment` every text begins with the line of
    `santa_lsp.families.prompt.path_comment`.
    """

    fim_rate: float = 0.5
    spm_rate: float = 0.5
    line_rate: float = 0.0
    node_rate: float = 0.0
    path_comment: bool = False

    def __post_init__(self) -> None:
        for name in ("fim_rate", "spm_rate", "line_rate", "node_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, not {getattr(self, name)}")
        if self.line_rate + self.node_rate > 1:
            raise ValueError("line_rate and node_rate together must be at most 1")

    def unit(self, rng: random.Random) -> Unit:
        """The unit of one cut."""
        draw = rng.random()
        if draw < self.line_rate:
            return "lines"
        return "nodes" if draw < self.line_rate + self.node_rate else "characters"


def example(
    text: str,
    language: str,
    path: str,
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
    lead: list[int] = []
    if config.path_comment:
        lead = encode(path_comment(language, path if rng.random() < WITH_PATH else ""))
    if rng.random() >= config.fim_rate:
        return [*lead, *encode(text), *([end_of_text] if ends else [])]
    prefix, middle, suffix = cut(text, language, config.unit(rng), rng)
    order: Order = "spm" if rng.random() < config.spm_rate else "psm"
    prompt_ids = assemble(fim, order, lead + encode(prefix), encode(suffix))
    return [*prompt_ids, *encode(middle), end_of_text]
