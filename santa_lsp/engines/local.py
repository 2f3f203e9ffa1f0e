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
from santa_lsp.families.forms import PromptForm
from santa_lsp.families.prompt import PromptFormat
from santa_lsp.languages import known_languages
from santa_lsp.models import Model
from santa_lsp.models.speeds import Measurement

#: Tokens of a prompt at most, also of a model with more positions.
MOST_PROMPT = 1536
#: Until there has been a request.
USUAL_LIMITS = Limits(new_tokens=64)


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
        token_to_id = self.tokenizer.token_to_id
        # Text that spells a special token is text: user code must never steer the prompt format.
        # Some tokenizers do not mark their fill-in-the-middle tokens as special.
        known = [token for token in model.stop_tokens if token_to_id(token) is not None]
        self.tokenizer.add_special_tokens(known)
        self.tokenizer.encode_special_tokens = True
        try:
            form = model.prompt_format and PromptForm.from_json(model.prompt_format, token_to_id)
        except ValueError as error:
            raise EngineError(f"{model.directory}: {error}; export the model again") from error
        self.format = PromptFormat(form or None, model.path_comment, self._ids(model.start_tokens))
        #: Any of these ends a completion; the first is end-of-text.
        self.stop_ids = self._ids(model.stop_tokens)
        self._limits = USUAL_LIMITS  # of the last request

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
        return self.prepare_tokens(self._longest_prompt(context))

    def prompt(
        self, context: CompletionContext, budget: int, suffix_budget: int | None = None
    ) -> list[int]:
        """The prompt of at most `budget` tokens. ValueError when that leaves no room for text."""
        return self.format.build(
            context.prefix,
            context.suffix,
            context.language,
            context.path,
            self.locate,
            budget,
            suffix_budget,
        )

    def encode(self, text: str) -> list[int]:
        """Ids of plain text: never a special token, even where the text spells one."""
        return self.locate(text)[0]

    def locate(self, text: str) -> tuple[list[int], list[int]]:
        """`encode`, with the index of the character at which each token starts."""
        found = self.tokenizer.encode(text, add_special_tokens=False)
        return found.ids, [start for start, _ in found.offsets]

    def _ids(self, tokens: Sequence[str]) -> tuple[int, ...]:
        ids = []
        for token in tokens:
            if (number := self.tokenizer.token_to_id(token)) is None:
                raise EngineError(
                    f"{self.model.directory}/tokenizer.json has no {token} token, which santa.json "
                    "names; export the model again"
                )
            ids.append(number)
        return tuple(ids)

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
        self._limits = limits
        allowed = self._most_new_tokens()
        prompt_ids = self._longest_prompt(context)
        if (budget := self._budget()) is not None:
            if len(prompt_ids) - self.reusable(prompt_ids) > budget.prefill_tokens:
                room = min(self._room(), budget.prefill_tokens)
                prompt_ids = self.prompt(context, room, self._suffix_budget())
            to_prefill = len(prompt_ids) - self.reusable(prompt_ids)
            allowed = min(allowed, budget.new_tokens(to_prefill))
        return prompt_ids, dataclasses.replace(limits, new_tokens=allowed)

    def _longest_prompt(self, context: CompletionContext) -> list[int]:
        """A prepared prompt must start as the next request's will: both obey the last limits."""
        return self.prompt(context, self._room(), self._suffix_budget())

    def _budget(self) -> Budget | None:
        if self._limits.milliseconds is None or self.speed is None:
            return None
        return Budget(self.speed, self._limits.milliseconds)

    def _suffix_budget(self) -> int | None:
        """Tokens of the suffix where it comes after the prefix: computed anew at every key."""
        budget, form = self._budget(), self.format.form
        if budget is None or form is None or form.prefix_is_last:
            return None
        return budget.suffix_tokens

    def _room(self) -> int:
        """Tokens of a prompt: prompt and completion together never exceed n_positions."""
        return min(MOST_PROMPT, self.n_positions - self._most_new_tokens())

    def _most_new_tokens(self) -> int:
        return max(1, min(self._limits.new_tokens, self.n_positions // 4))

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
