"""Generation for evaluation: the serving engine, with sampling that can be repeated."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import ctranslate2
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from model.evaluate.task import Subject
from santa_lsp import prompt
from santa_lsp.engine import Engine, EngineError, GenerationParameters, Token
from santa_lsp.engines.ctranslate2 import SMALL, CTranslate2Engine
from santa_lsp.engines.devices import load_generator
from santa_lsp.prompt import END_OF_TEXT

#: Samples computed together.
BATCH = 32


def reseeded(subject: Subject, seed: int, batch: str) -> CTranslate2Engine:
    """The subject's engine, loaded again with the random state of (seed, batch).

    CTranslate2 reads its seed once, when a worker thread first samples; only new threads start
    from a known state. Loading takes 10 ms for a small model and a second or two for 1.1B.
    """
    ctranslate2.set_random_seed(zlib.crc32(f"{seed} {batch}".encode()))
    return CTranslate2Engine(subject.model, threads=subject.threads)


class Sampler:
    """Many samples of one prompt, a batch of them computed together; seeded by (seed, name).

    The prompt is computed once for a batch. Other than that, and that there is nothing after the
    cursor, it is the serving engine's computation: same weights, same library.
    """

    def __init__(self, subject: Subject, seed: int, name: str) -> None:
        """Raises EngineError."""
        ctranslate2.set_random_seed(zlib.crc32(f"{seed} {name}".encode()))
        model = subject.model
        self._n_positions = model.n_positions
        self._tokenizer = Tokenizer.from_file(str(model.directory / "tokenizer.json"))
        self._tokenizer.encode_special_tokens = True
        threads = subject.threads or (1 if model.size < SMALL else 0)
        self._generator, _ = load_generator(model, "auto", "default", threads)

    def sample(
        self, text: str, samples: int, parameters: GenerationParameters, stops: Sequence[str]
    ) -> list[str]:
        """What follows `text`, each time up to the first of `stops`, end-of-text, or the limit.

        Where text and `max_new_tokens` together exceed n_positions, fewer tokens are generated, and
        of a text longer than 3/4 of n_positions the end is seen. Raises EngineError.
        """
        encoding = self._encode(text)
        tokens = [self._tokenizer.id_to_token(number) for number in encoding]
        room = min(parameters.max_new_tokens, self._n_positions - len(tokens))
        said: list[str] = []
        while len(said) < samples:
            rows = min(BATCH, samples - len(said))
            stopping = _Stopping(self._tokenizer, rows, stops)
            try:
                self._generator.generate_batch(
                    [tokens[-1:]] * rows,
                    static_prompt=tokens[:-1] or None,
                    cache_static_prompt=False,
                    max_length=room,
                    include_prompt_in_result=False,
                    sampling_topk=1 if parameters.temperature == 0 else 0,
                    sampling_topp=parameters.top_p,
                    sampling_temperature=parameters.temperature or 1.0,
                    end_token=END_OF_TEXT,
                    callback=stopping,
                )
            except RuntimeError as error:
                raise EngineError(f"generation failed: {error}") from error
            said += [cut_at(text, stops) for text in stopping.texts]
        return said

    def _encode(self, text: str) -> list[int]:
        def encode(part: str) -> list[int]:
            ids: list[int] = self._tokenizer.encode(part, add_special_tokens=False).ids
            return ids

        return prompt.prefix_window(text, encode, 3 * self._n_positions // 4)


class _Stopping:
    """The callback: keeps the text of each row and ends a row when its text holds a stop."""

    def __init__(self, tokenizer: Tokenizer, rows: int, stops: Sequence[str]) -> None:
        self.texts = [""] * rows
        self._tokenizer, self._stops = tokenizer, stops
        self._end_of_text = tokenizer.token_to_id(END_OF_TEXT)
        self._streams = [DecodeStream(skip_special_tokens=True) for _ in range(rows)]
        self._longest = max(map(len, stops), default=0)

    def __call__(self, result: ctranslate2.GenerationStepResult) -> bool:
        if result.token_id == self._end_of_text:
            return True
        row = result.batch_id
        piece = self._streams[row].step(self._tokenizer, result.token_id) or ""
        self.texts[row] += piece
        end = self.texts[row][-len(piece) - self._longest :]
        return any(stop in end for stop in self._stops)


def cut_at(text: str, stops: Sequence[str]) -> str:
    """What comes before the first of the stops."""
    return text[: min((text.find(stop) for stop in stops if stop in text), default=len(text))]


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
