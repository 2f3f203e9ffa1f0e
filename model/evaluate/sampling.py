"""Generation for evaluation: the serving engine, with sampling that can be repeated."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable, Sequence

import ctranslate2
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from model.evaluate.task import Subject
from santa_lsp.completion.context import CompletionContext
from santa_lsp.completion.engine import Cost, Engine, EngineError, Limits, Piece, Stop
from santa_lsp.engines.ctranslate2 import SMALL
from santa_lsp.engines.devices import load_generator
from santa_lsp.engines.local import LocalEngine, Token
from santa_lsp.families.prompt import END_OF_TEXT, prefix_window

#: Samples computed together.
BATCH = 32


class Sampler:
    """Samples of a prompt, a batch of them computed together; seeded by (seed, name).

    Each one loads the model anew: CTranslate2 reads its seed once, when a worker first samples, and
    only a new worker starts from a known state (a second one would draw from a state of its own, so
    there is one). Loading takes 10 ms for a small model and a second or two for 1.1B. Otherwise it
    is the serving engine's computation: same weights, same library. Raises EngineError.
    """

    def __init__(self, subject: Subject, seed: int, name: str) -> None:
        ctranslate2.set_random_seed(zlib.crc32(f"{seed} {name}".encode()))
        model = subject.model
        self._n_positions = model.n_positions
        self._tokenizer = Tokenizer.from_file(str(model.directory / "tokenizer.json"))
        self._tokenizer.encode_special_tokens = True
        threads = subject.threads or (1 if model.size < SMALL else 0)
        self._generator, _ = load_generator(model, "auto", "default", threads, at_a_time=1)

    def sample(self, text: str, samples: int, limits: Limits, stops: Sequence[str]) -> list[str]:
        """Continuations of `text`, each up to the first of `stops`, end-of-text, or the limit.

        Where text and `limits.new_tokens` together exceed n_positions, fewer tokens are generated,
        and of a text longer than 3/4 of n_positions the end is seen.
        """
        ids = prefix_window(text, self._encode, 3 * self._n_positions // 4)
        room = min(limits.new_tokens, self._n_positions - len(ids))
        fitting = dataclasses.replace(limits, new_tokens=room)
        said: list[str] = []
        while len(said) < samples:
            rows = min(BATCH, samples - len(said))
            found = self._generate(ids, rows, fitting, stops)
            said += [cut_at(text, stops) for text in found.texts]
        return said

    def tokens(self, prompt_ids: Sequence[int], limits: Limits) -> Sequence[Token]:
        """One sample, up to end-of-text or the limit."""
        return self._generate(prompt_ids, 1, limits, ()).tokens[0]

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def _generate(
        self,
        prompt_ids: Sequence[int],
        rows: int,
        limits: Limits,
        stops: Sequence[str],
    ) -> _Stopping:
        """All but the prompt's last token is computed once for all rows."""
        tokens = [self._tokenizer.id_to_token(number) for number in prompt_ids]
        found = _Stopping(self._tokenizer, rows, stops)
        try:
            self._generator.generate_batch(
                [tokens[-1:]] * rows,
                static_prompt=tokens[:-1] or None,
                cache_static_prompt=False,
                max_length=limits.new_tokens,
                include_prompt_in_result=False,
                return_scores=True,  # the callback has log probabilities only then
                sampling_topk=1 if limits.temperature == 0 else 0,
                sampling_topp=limits.top_p,
                sampling_temperature=limits.temperature or 1.0,
                end_token=END_OF_TEXT,
                callback=found,
            )
        except RuntimeError as error:
            raise EngineError(f"generation failed: {error}") from error
        return found


class _Stopping:
    """The callback: keeps each row's tokens and text and ends it when the text holds a stop."""

    def __init__(self, tokenizer: Tokenizer, rows: int, stops: Sequence[str]) -> None:
        self.texts = [""] * rows
        self.tokens: list[list[Token]] = [[] for _ in range(rows)]
        self._tokenizer, self._stops = tokenizer, stops
        self._end_of_text = tokenizer.token_to_id(END_OF_TEXT)
        self._streams = [DecodeStream(skip_special_tokens=True) for _ in range(rows)]
        self._longest = max(map(len, stops), default=0)

    def __call__(self, result: ctranslate2.GenerationStepResult) -> bool:
        if result.token_id == self._end_of_text:
            return True
        row = result.batch_id
        self.tokens[row].append(Token(result.token_id, result.log_prob or 0.0))
        piece = self._streams[row].step(self._tokenizer, result.token_id) or ""
        self.texts[row] += piece
        end = self.texts[row][-len(piece) - self._longest :]
        return any(stop in end for stop in self._stops)


def cut_at(text: str, stops: Sequence[str]) -> str:
    """The text before the first of the stops."""
    return text[: min((text.find(stop) for stop in stops if stop in text), default=len(text))]


class Recorder(Engine):
    """An engine that lets the model finish, keeps its text, and passes it on piece by piece.

    So one generation gives both the text that a benchmark scores and the text that the server would
    show. `sampler` generates in the engine's place where there is one; else the engine does,
    greedily and without reuse.
    """

    def __init__(
        self,
        engine: LocalEngine,
        sampler: Sampler | None = None,
        temperature: float = 0,
        top_p: float = 1,
    ) -> None:
        self._engine, self._sampler = engine, sampler
        self._temperature, self._top_p = temperature, top_p
        self.text = ""

    def generate(
        self,
        context: CompletionContext,
        limits: Limits,
        on_piece: Callable[[Piece], bool],
        stop: Stop,
    ) -> Cost:
        """Generate all of `limits.new_tokens`, or up to end-of-text, then call `on_piece`.

        Time is no limit: a busy machine gives the same answers.
        """
        untimed = dataclasses.replace(
            limits,
            milliseconds=None,
            temperature=self._temperature,
            top_p=self._top_p,
            reuse=False,
        )
        prompt_ids, allowed = self._engine.plan(context, untimed)
        said: list[Token] = []
        if self._sampler:
            said += self._sampler.tokens(prompt_ids, allowed)
        else:

            def keep(token: Token) -> bool:
                said.append(token)
                return False

            self._engine.generate_tokens(prompt_ids, allowed, keep)
        stream = self._engine.text_stream()
        pieces = [Piece(stream(token.id), token.log_prob) for token in said]
        self.text = "".join(piece.text for piece in pieces)
        for piece in pieces:
            if on_piece(piece):
                break
        return Cost(
            prefilled_tokens=len(prompt_ids),
            generated_tokens=len(said),
            allowed_tokens=allowed.new_tokens,
        )

    def close(self) -> None:
        self._engine.close()
