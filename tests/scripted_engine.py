"""An engine that says a given text, for tests of what is done with what a model says."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from santa_lsp.engines.budget import Speed
from santa_lsp.completion.engine import AnchorCounts, GenerationParameters, Token
from santa_lsp.families.prompt import FimIds, Order


class ScriptedEngine:
    """Says one text to every prompt, a character a token; keeps the prompts and what it said."""

    n_positions = 4096
    fim = FimIds(2000, 2001, 2002, 2003)
    end_of_text = 2004
    path_comment = False
    notice = ""
    speed: Speed | None = None

    def __init__(self, text: str, *, log_prob: float = -0.1, order: Order = "spm") -> None:
        self.text, self.log_prob, self.order = text, log_prob, order
        self.prompts: list[list[int]] = []
        self.said = ""

    def encode(self, text: str) -> list[int]:
        return [ord(character) for character in text]

    def text_stream(self) -> ScriptedEngine:
        return self

    def step(self, token_id: int) -> str:
        return chr(token_id)

    def reusable(self, prompt_ids: Sequence[int]) -> int:
        return 0

    def prepare(self, prompt_ids: Sequence[int]) -> int:
        return 0

    def anchor_counts(self) -> AnchorCounts:
        return AnchorCounts()

    def generate(
        self,
        prompt_ids: Sequence[int],
        parameters: GenerationParameters,
        on_token: Callable[[Token], bool],
    ) -> int:
        self.prompts.append(list(prompt_ids))
        for character in self.text[: parameters.max_new_tokens]:
            self.said += character
            if on_token(Token(ord(character), self.log_prob)):
                break
        return 0
