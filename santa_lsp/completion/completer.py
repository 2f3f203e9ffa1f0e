"""One request from text to completion: recall, gate, prompt, generate, filter, remember."""

from __future__ import annotations

import dataclasses
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Literal

from santa_lsp.completion import filters as postprocess
from santa_lsp.families import prompt
from santa_lsp.engines.budget import Budget
from santa_lsp.completion.cache import CompletionCache
from santa_lsp.completion.context import CompletionContext
from santa_lsp.completion.engine import Engine, GenerationParameters, Token
from santa_lsp.completion.filters import Drop
from santa_lsp.completion.statistics import Source, Work

Multiline = Literal["auto", "always", "never"]

#: An automatic request is answered only when at most this many characters follow the cursor on its
#: line, closing punctuation not counted (llama.vim's limit).
MOST_LINE_SUFFIX = 8
_BLOCK_OPENER = re.compile(r"(:|\{|\(|\[|=>|->)\s*$")


@dataclass(frozen=True, slots=True)
class CompleterConfig:
    """`min_confidence` is the least geometric-mean token probability, 0..1; times are in ms.

    `latency_budget_ms` bounds prompt and completion by what an engine of known speed can compute in
    that time; None does not. `time_limit_ms` begins with the first token. `candidates` are computed
    when somebody asks by hand.
    """

    max_new_tokens: int = 64
    max_prompt_tokens: int = 1536
    latency_budget_ms: int | None = None
    time_limit_ms: int = 4000
    multiline: Multiline = "auto"
    min_confidence: float = 0.0
    exclude: tuple[str, ...] = ()
    candidates: int = 1


@dataclass(frozen=True, slots=True)
class Completion:
    """Text to insert at the cursor. `score` is the mean log probability of its tokens (nats).

    `unused_tokens` were computed ahead for it and are used for the first time. `others` are further
    candidates, likeliest first.
    """

    text: str
    source: Source
    score: float = 0.0
    tokens: int = 0
    unused_tokens: int = 0
    others: tuple[str, ...] = ()


class Superseded(Exception):
    """The stop signal was set: nobody waits for the result any more."""


@dataclass(slots=True)
class _Generation:
    """What has been generated so far, and whether to go on."""

    raw: str = ""
    text: str = ""
    log_prob: float = 0.0
    tokens: int = 0
    shown: str = ""
    deadline: float = field(default=math.inf)

    @property
    def score(self) -> float:
        return self.log_prob / max(1, self.tokens)


class Completer:
    """Answers contexts from one engine; thread-safe as far as the engine is."""

    def __init__(self, engine: Engine, config: CompleterConfig, cache: CompletionCache) -> None:
        self._engine, self._config, self._cache = engine, config, cache

    def recall(self, context: CompletionContext, *, peek: bool = False) -> Completion | None:
        """A cached completion the user is typing through; at once, from any thread.

        `peek` leaves it as if nobody had asked.
        """
        if self._candidates(context) > 1:
            return None  # one of them is remembered, not all
        if (found := self._cache.get(context, peek=peek)) is None:
            return None
        source: Source = "prefetched" if found.prefetched else "typedThrough"
        return Completion(found.text, source, unused_tokens=found.unused_tokens)

    def gate(self, context: CompletionContext) -> Drop | None:
        """Why a request is not worth the model's time, if so."""
        if (excluded := self._excluded(context)) is not None:
            return excluded
        if (reason := self._cache.get_nothing(context)) is not None:
            return Drop(reason)
        if context.trigger == "invoked":
            return None
        rest = context.line_suffix.strip()
        if rest and (rest[0].isalnum() or rest[0] == "_") and context.line_suffix[0] == rest[0]:
            return Drop("the cursor is inside a word")
        if len(rest.strip(postprocess.CLOSING + " ")) > MOST_LINE_SUFFIX:
            return Drop("too much text follows the cursor on its line")
        if not context.prefix.strip() and not context.suffix.strip():
            return Drop("the file is empty")
        return None

    def _excluded(self, context: CompletionContext) -> Drop | None:
        name = context.path.replace("\\", "/")
        for pattern in self._config.exclude:
            if fnmatch(name, pattern) or fnmatch(name.rpartition("/")[2], pattern):
                return Drop(f"the file matches {pattern!r} of the setting exclude")
        return None

    def complete(
        self,
        context: CompletionContext,
        stopped: Callable[[], bool] = lambda: False,
        on_text: Callable[[str], None] = lambda text: None,
        work: Work | None = None,
        ahead: bool = False,
    ) -> Completion | Drop:
        """The model's completion, or the reason to show none.

        `on_text` gets the text so far, each time longer and never taken back: the result starts
        with what it was given last. `work` is told what it has cost, whatever the outcome; `ahead`
        means that nobody has asked yet and the answer is only to be remembered. Raises
        Superseded once `stopped()` is true, at the next token, and EngineError.
        """
        if (recalled := self.recall(context, peek=ahead)) is not None:
            return recalled
        if (dropped := self.gate(context)) is not None:
            return dropped
        prompt_ids, most = self._plan(context)
        if stopped():
            raise Superseded
        work = work or Work()
        generations = self._generate(prompt_ids, most, context, stopped, on_text, work)
        result, *others = (self._finish(each, most, context) for each in generations)
        texts = [each.text for each in others if isinstance(each, Completion)]
        if isinstance(result, Completion):
            texts = [text for text in dict.fromkeys(texts) if text != result.text]
            result = dataclasses.replace(result, others=tuple(texts))
            unused = work.computed_tokens if ahead else 0
            self._cache.put(context, result.text, prefetched=ahead, unused_tokens=unused)
        else:
            self._cache.put_nothing(context, result.reason)
        if stopped():  # too late, but remembered: the next key may be the completion's own
            raise Superseded
        return result

    def prepare(self, context: CompletionContext) -> int:
        """Have the engine compute ahead what the next requests here have in common.

        Returns the number of tokens computed. Cannot be stopped. Raises EngineError.
        """
        if self._excluded(context) is not None:
            return 0
        return self._engine.prepare(self._prompt(context, self._prompt_budget()))

    def _plan(self, context: CompletionContext) -> tuple[list[int], int]:
        """The prompt, and how many tokens to generate at most.

        Where the engine would have to compute more of the longest prompt than there is time for, it
        gets a shorter one; the longest is prepared for the next request.
        """
        room, most = self._prompt_budget(), self._max_new_tokens()
        prompt_ids = self._prompt(context, room)
        if self._config.latency_budget_ms is None or self._engine.speed is None:
            return prompt_ids, most
        budget = Budget(self._engine.speed, self._config.latency_budget_ms)
        if len(prompt_ids) - self._engine.reusable(prompt_ids) > budget.prefill_tokens:
            prompt_ids = self._prompt(context, min(room, budget.prefill_tokens))
        to_prefill = len(prompt_ids) - self._engine.reusable(prompt_ids)
        return prompt_ids, min(most, budget.new_tokens(to_prefill))

    def _prompt(self, context: CompletionContext, budget: int) -> list[int]:
        engine = self._engine
        return prompt.build(
            context, engine.encode, engine.fim, engine.order, budget, engine.path_comment
        )

    def _prompt_budget(self) -> int:
        """Prompt and completion together never exceed n_positions."""
        room = self._engine.n_positions - self._max_new_tokens()
        return min(self._config.max_prompt_tokens, room)

    def _max_new_tokens(self) -> int:
        return max(1, min(self._config.max_new_tokens, self._engine.n_positions // 4))

    def _candidates(self, context: CompletionContext) -> int:
        return self._config.candidates if context.trigger == "invoked" else 1

    def wants_lines(self, context: CompletionContext) -> bool:
        """Whether a completion may go past the end of the cursor's line."""
        if self._config.multiline != "auto":
            return self._config.multiline == "always"
        if context.line_suffix.strip():
            return False
        return not context.line_prefix.strip() or bool(_BLOCK_OPENER.search(context.line_prefix))

    def _generate(
        self,
        prompt_ids: list[int],
        most: int,
        context: CompletionContext,
        stopped: Callable[[], bool],
        on_text: Callable[[str], None],
        work: Work,
    ) -> list[_Generation]:
        """The candidates, likeliest first; the first is told to `on_text` as it grows."""
        count = self._candidates(context)
        states = [_Generation() for _ in range(count)]
        streams = [self._engine.text_stream() for _ in range(count)]
        lines = self.wants_lines(context)
        superseded = False
        started = time.perf_counter()

        def on_token(token: Token) -> bool:
            nonlocal superseded
            if not work.generated_tokens:
                work.prefill_ms = 1000 * (time.perf_counter() - started)
                for each in states:
                    each.deadline = time.monotonic() + self._config.time_limit_ms / 1000
            work.generated_tokens += 1
            if stopped():
                superseded = True
                return True
            state = states[token.candidate]
            state.raw += streams[token.candidate].step(token.id)
            state.text = postprocess.join(state.raw, context)
            state.log_prob += token.log_prob
            state.tokens += 1
            if self._is_complete(state, context, lines):
                return True
            if token.candidate == 0 and self._is_confident(state, context):
                settled = postprocess.settled(state.text, context)
                if len(settled) > len(state.shown) and settled.startswith(state.shown):
                    state.shown = settled
                    on_text(settled)
            return False

        parameters = GenerationParameters(max_new_tokens=most, candidates=count)
        work.reused_tokens = self._engine.generate(prompt_ids, parameters, on_token)
        took = 1000 * (time.perf_counter() - started)
        work.prefill_ms = work.prefill_ms or took
        work.decode_ms = took - work.prefill_ms
        work.prompt_tokens = len(prompt_ids)
        work.prefilled_tokens = len(prompt_ids) - work.reused_tokens
        if superseded:
            raise Superseded
        return states

    def _is_complete(self, state: _Generation, context: CompletionContext, lines: bool) -> bool:
        """Stop as soon as what follows would be cut away; the rest would be wasted work."""
        if time.monotonic() >= state.deadline:
            return True
        cuts = (postprocess.cut_repetition, postprocess.cut_at_standing_closer)
        if any(cut(state.text, context) != state.text for cut in cuts):
            return True
        body = state.text.lstrip("\n") if lines else state.text
        if "\n" not in body:
            return False
        if not lines:
            state.text = state.text.partition("\n")[0]
            return True
        kept = postprocess.cut_at_block_end(state.text, context)
        return len(kept.rstrip()) < len(state.text.rstrip()) or state.text.endswith("\n\n\n")

    def _is_confident(self, state: _Generation, context: CompletionContext) -> bool:
        """Whoever asks by hand wants to see the best there is."""
        return context.trigger == "invoked" or math.exp(state.score) >= self._config.min_confidence

    def _finish(
        self, state: _Generation, most: int, context: CompletionContext
    ) -> Completion | Drop:
        text = state.text
        if state.tokens >= most and "\n" in text.strip("\n"):
            text = text[: text.rindex("\n")]  # the last line was cut off somewhere
        result = postprocess.apply(text, context)
        if state.shown and (isinstance(result, Drop) or not result.startswith(state.shown)):
            result = state.shown  # what the user has seen is not taken back
        if isinstance(result, Drop):
            return result
        if not state.shown and not self._is_confident(state, context):
            return Drop(
                f"the model is not sure enough ({math.exp(state.score):.2f} is below "
                f"minConfidence {self._config.min_confidence})"
            )
        return Completion(result, "model", state.score, state.tokens)
