"""Generation for evaluation: the serving engine, with sampling that can be repeated."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import ctranslate2

from model.evaluate.task import Subject
from santa_lsp.engine import Engine, GenerationParameters, Token
from santa_lsp.engines.ctranslate2 import CTranslate2Engine


def reseeded(subject: Subject, seed: int, batch: str) -> CTranslate2Engine:
    """The subject's engine, loaded again with the random state of (seed, batch).

    CTranslate2 reads its seed once, when a worker thread first samples; only new threads start
    from a known state. Loading takes 10 ms for a small model and a second or two for 1.1B.
    """
    ctranslate2.set_random_seed(zlib.crc32(f"{seed} {batch}".encode()))
    return CTranslate2Engine(subject.model, threads=subject.threads)


class Recorder:
    """An engine that lets the model finish, keeps what it said, and tells it on as it was said.

    So one generation gives both what a benchmark scores and what the server would have made of it.
    """

    def __init__(self, engine: Engine, temperature: float, top_p: float) -> None:
        self._engine, self._temperature, self._top_p = engine, temperature, top_p
        self.text = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def generate(
        self,
        prompt_ids: Sequence[int],
        parameters: GenerationParameters,
        on_token: Callable[[Token], bool],
    ) -> int:
        """Generates all of `max_new_tokens` or up to end-of-text, then calls `on_token`."""
        tokens: list[Token] = []

        def keep(token: Token) -> bool:
            tokens.append(token)
            return False

        own = GenerationParameters(parameters.max_new_tokens, self._temperature, self._top_p)
        reused = self._engine.generate(prompt_ids, own, keep)
        stream = self._engine.text_stream()
        self.text = "".join(stream.step(token.id) for token in tokens)
        for token in tokens:
            if on_token(token):
                break
        return reused
