"""Engines that hold a model and a tokenizer: from the text around a cursor to tokens and back."""

from __future__ import annotations

import dataclasses
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from santa_lsp.completion.context import CompletionContext
from santa_lsp.completion.engine import Cost, Engine, EngineError, Limits, Piece, Stop
from santa_lsp.engines.budget import Budget
from santa_lsp.families.prompt import END_OF_TEXT, PromptFormat, find_dialect
from santa_lsp.languages import known_languages
from santa_lsp.models import Model
from santa_lsp.models.speeds import Measurement

#: Tokens of a prompt at most, also of a model with more positions.
MOST_PROMPT = 1536
#: New tokens that a prompt leaves room for until a request has set the number.
USUAL_NEW_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Token:
    """One generated token. `log_prob` is natural, under the model's own distribution."""

    id: int
    log_prob: float
    candidate: int = 0


class LocalEngine(Engine):
    """Makes prompts, budgets and text; an implementation computes tokens (the last three methods).

    `speed` was measured on this machine; without it, time bounds nothing.
    """

    speed: Measurement | None

    def __init__(self, model: Model, speed: Measurement | None = None) -> None:
        """Raises EngineError when the model's tokenizer cannot be used."""
        self.model, self.speed = model, speed
        self.n_positions = model.n_positions
        self.languages = known_languages(model.card.get("languages") or ())
        self.tokenizer = Tokenizer.from_file(str(model.directory / "tokenizer.json"))
        # Text that spells a special token is text: user code must never steer the prompt format.
        self.tokenizer.encode_special_tokens = True
        found = find_dialect(self.tokenizer.token_to_id)
        self.format = PromptFormat(found[1] if found else None, model.order, model.path_comment)
        end_token = (model.card.get("stop_tokens") or [END_OF_TEXT])[0]
        end_of_text = self.tokenizer.token_to_id(end_token)
        if end_of_text is None:
            raise EngineError(f"{model.directory}/tokenizer.json has no {end_token} token")
        self.end_of_text: int = end_of_text
        self._new_tokens = USUAL_NEW_TOKENS

    def generate(
        self,
        context: CompletionContext,
        limits: Limits,
        on_piece: Callable[[Piece], bool],
        stop: Stop,
    ) -> Cost:
        if stop.is_set():
            return Cost(stopped=True)
        prompt_ids, allowed = self.plan(context, limits)
        streams = [self.text_stream() for _ in range(limits.candidates)]
        started = time.perf_counter()
        prefill_ms, generated, stopped = 0.0, 0, False

        def on_token(token: Token) -> bool:
            nonlocal prefill_ms, generated, stopped
            if not generated:
                prefill_ms = 1000 * (time.perf_counter() - started)
            generated += 1
            if stopped := stop.is_set():
                return True
            text = streams[token.candidate](token.id)
            return on_piece(Piece(text, token.log_prob, 1, token.candidate))

        reused = self.generate_tokens(prompt_ids, allowed, on_token)
        took = 1000 * (time.perf_counter() - started)
        prefill_ms = prefill_ms or took
        return Cost(
            prefilled_tokens=len(prompt_ids) - reused,
            reused_tokens=reused,
            generated_tokens=generated,
            prefill_ms=prefill_ms,
            decode_ms=took - prefill_ms,
            allowed_tokens=allowed.new_tokens,
            stopped=stopped,
        )

    def prepare(self, context: CompletionContext, stop: Stop) -> int:
        """Cannot be stopped once it has begun: call it while no request waits."""
        if stop.is_set():
            return 0
        return self.prepare_tokens(self.prompt(context, self._room()))

    def prompt(self, context: CompletionContext, budget: int) -> list[int]:
        """The prompt of at most `budget` tokens. ValueError when that leaves no room for text."""
        return self.format.build(
            context.prefix, context.suffix, context.language, context.path, self.encode, budget
        )

    def encode(self, text: str) -> list[int]:
        """Ids of plain text, never of a special token that the text spells."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def text_stream(self) -> Callable[[int], str]:
        """A function from one generated id after the other to text, in whole characters."""
        stream = DecodeStream(skip_special_tokens=True)

        def step(token_id: int) -> str:
            return stream.step(self.tokenizer, token_id) or ""

        return step

    def plan(self, context: CompletionContext, limits: Limits) -> tuple[list[int], Limits]:
        """The prompt, and the limits with the new tokens that fit the room and the time.

        If prefilling the longest prompt takes too long, take a shorter one; prefetching caches the
        longest for the next request.
        """
        self._new_tokens = limits.new_tokens
        allowed = self._most_new_tokens()
        prompt_ids = self.prompt(context, self._room())
        if limits.milliseconds is not None and self.speed is not None:
            budget = Budget(self.speed, limits.milliseconds)
            if len(prompt_ids) - self.reusable(prompt_ids) > budget.prefill_tokens:
                prompt_ids = self.prompt(context, min(self._room(), budget.prefill_tokens))
            to_prefill = len(prompt_ids) - self.reusable(prompt_ids)
            allowed = min(allowed, budget.new_tokens(to_prefill))
        return prompt_ids, dataclasses.replace(limits, new_tokens=allowed)

    def _room(self) -> int:
        """Tokens of a prompt: prompt and completion together never exceed n_positions.

        A prepared prompt must start as the next request's will, so both leave room for as many new
        tokens as the last request wanted.
        """
        return min(MOST_PROMPT, self.n_positions - self._most_new_tokens())

    def _most_new_tokens(self) -> int:
        return max(1, min(self._new_tokens, self.n_positions // 4))

    @abstractmethod
    def reusable(self, prompt_ids: Sequence[int]) -> int:
        """The number of the prompt's first tokens that `generate_tokens` need not compute."""

    @abstractmethod
    def prepare_tokens(self, prompt_ids: Sequence[int]) -> int:
        """Cache the start of this prompt for prompts that share it, if that pays.

        Returns the number of tokens computed. Raises EngineError.
        """

    @abstractmethod
    def generate_tokens(
        self, prompt_ids: Sequence[int], limits: Limits, on_token: Callable[[Token], bool]
    ) -> int:
        """Generate until end-of-text, `limits.new_tokens`, or `on_token` returns True.

        `prompt_ids` is the whole prompt; the engine decides what to reuse of earlier calls. Of
        several candidates, True ends the token's own. Returns how many of the prompt's tokens were
        reused. End-of-text is not reported. `len(prompt_ids) + limits.new_tokens` must not exceed
        `n_positions` (ValueError). Raises EngineError when the computation fails.
        """
