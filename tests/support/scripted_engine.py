"""An engine that says a given text, for tests of what is done with what a model says."""

from __future__ import annotations

from collections.abc import Callable

from santa_lsp.completion.context import CompletionContext
from santa_lsp.completion.engine import Cost, Engine, Limits, Piece, Stop


class ScriptedEngine(Engine):
    """Says one text everywhere, a character a piece; keeps the contexts and what it said."""

    def __init__(self, text: str, *, log_prob: float = -0.1) -> None:
        self.text, self.log_prob = text, log_prob
        self.contexts: list[CompletionContext] = []
        self.said = ""

    def generate(
        self,
        context: CompletionContext,
        limits: Limits,
        on_piece: Callable[[Piece], bool],
        stop: Stop,
    ) -> Cost:
        self.contexts.append(context)
        for character in self.text[: limits.new_tokens]:
            self.said += character
            if on_piece(Piece(character, self.log_prob)):
                break
        return Cost(allowed_tokens=limits.new_tokens)
