"""Engines that say a given text, for tests of what is done with what a model says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from santa_lsp.completion.context import CompletionContext
from santa_lsp.completion.engine import Cost, Engine, Limits, Piece, Stop


class ScriptedEngine(Engine):
    """Says one text everywhere, a character a piece; keeps the contexts and what it said.

    A character before the cursor costs a token of prefill.
    """

    def __init__(self, text: str, *, log_prob: float = -0.1) -> None:
        self.text, self.log_prob = text, log_prob
        self.contexts: list[CompletionContext] = []
        self.said = ""

    def pieces(self, limits: Limits) -> Iterator[Piece]:
        """What there is to say."""
        for character in self.text[: limits.new_tokens]:
            yield Piece(character, self.log_prob)

    def generate(
        self,
        context: CompletionContext,
        limits: Limits,
        on_piece: Callable[[Piece], bool],
        stop: Stop,
    ) -> Cost:
        self.contexts.append(context)
        generated, ended, stopped = 0, set[int](), False
        for piece in self.pieces(limits):
            if stopped := stop.is_set():
                break
            if piece.candidate not in ended:
                self.said += piece.text
                generated += 1
                if on_piece(piece):
                    ended.add(piece.candidate)
            if len(ended) == limits.candidates:
                break
        return Cost(
            prefilled_tokens=len(context.prefix),
            generated_tokens=generated,
            prefill_ms=2.0,
            decode_ms=1.0,
            allowed_tokens=limits.new_tokens,
            stopped=stopped,
        )


class HeldEngine(ScriptedEngine):
    """Says the next character, or ends, each time it is allowed to."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._allowed = threading.Semaphore(0)
        self.waits = 0  # how often it has waited

    def go_on(self, steps: int = 1000) -> None:
        """Allow so many characters and ends."""
        self._allowed.release(steps)

    def pieces(self, limits: Limits) -> Iterator[Piece]:
        for piece in super().pieces(limits):
            self._wait()
            yield piece
        self._wait()

    def _wait(self) -> None:
        self.waits += 1
        self._allowed.acquire()
