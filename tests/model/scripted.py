"""A local engine that says a given text, for tests of what evaluation makes of an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from santa_lsp.completion.engine import Limits
from santa_lsp.engines.local import USUAL_LIMITS, LocalEngine, Token
from santa_lsp.families.prompt import PromptFormat
from tests.support.forms import FORM, locate_characters


class ScriptedLocalEngine(LocalEngine):
    """Says one text to every prompt, a character a token; keeps the prompts and what it said."""

    def __init__(self, text: str, *, log_prob: float = -0.1, order: str = "spm") -> None:
        # In place of what LocalEngine reads from a model's files.
        self.speed = None
        self.n_positions = 4096
        self.format = PromptFormat(FORM.with_order(order))
        self._limits = USUAL_LIMITS
        self.text, self.log_prob = text, log_prob
        self.prompts: list[list[int]] = []
        self.said = ""

    def locate(self, text: str) -> tuple[list[int], list[int]]:
        return locate_characters(text)

    def text_stream(self) -> Callable[[int], str]:
        return chr

    def reusable(self, prompt_ids: Sequence[int]) -> int:
        return 0

    def prepare_tokens(self, prompt_ids: Sequence[int]) -> int:
        return 0

    def generate_tokens(
        self, prompt_ids: Sequence[int], limits: Limits, on_token: Callable[[Token], bool]
    ) -> int:
        self.prompts.append(list(prompt_ids))
        for character in self.text[: limits.new_tokens]:
            self.said += character
            if on_token(Token(ord(character), self.log_prob)):
                break
        return 0
