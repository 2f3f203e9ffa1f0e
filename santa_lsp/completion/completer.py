"""Completes a context: generate, filter, remember."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from santa_lsp.completion import filters, gate
from santa_lsp.completion.cache import CompletionCache
from santa_lsp.completion.context import CompletionContext
from santa_lsp.completion.engine import Cost, Engine, Limits, Piece, Stop
from santa_lsp.completion.filters import Drop
from santa_lsp.languages import opens_block

#: The origin of a text; "none" when nothing is shown.
Source = Literal["typedThrough", "prefetched", "model", "none"]

#: Seconds after its first piece at which a generation ends, however slow the model is.
TIME_LIMIT = 4.0


class Preferences(Protocol):
    """The user's settings that the completer needs; `santa_lsp.settings.Settings` has them.

    `min_confidence` is the least geometric-mean token probability, 0..1. `candidates` is their
    number when the user asks by hand.
    """

    @property
    def max_new_tokens(self) -> int: ...

    @property
    def latency_budget_ms(self) -> int: ...

    @property
    def multiline(self) -> str: ...

    @property
    def min_confidence(self) -> float: ...

    @property
    def candidates(self) -> int: ...

    @property
    def exclude(self) -> Sequence[str]: ...

    @property
    def languages(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one request.

    `texts` are to be inserted at the cursor, likeliest first; without any, `reason` gives the
    reason, a clause for people. `score` is the mean log probability of the first text's tokens, in
    nats. `superseded`: the stop signal was set, so the outcome is not shown.
    """

    texts: tuple[str, ...] = ()
    reason: str = ""
    source: Source = "none"
    score: float = 0.0
    cost: Cost = field(default_factory=Cost)
    superseded: bool = False


def wanted_languages(engine: Engine, preferences: Preferences) -> Sequence[str]:
    """LSP identifiers of the languages that are completed unasked; empty for all."""
    wanted = preferences.languages
    return engine.languages if wanted == "auto" else wanted


class Completer:
    """Completes contexts with one engine. Thread-safe if the engine is."""

    def __init__(
        self,
        engine: Engine,
        preferences: Preferences,
        cache: CompletionCache,
        time_limit: float = TIME_LIMIT,
    ) -> None:
        self._engine, self._preferences, self._cache = engine, preferences, cache
        self._time_limit = time_limit
        self._languages = wanted_languages(engine, preferences)

    def recall(self, context: CompletionContext, *, peek: bool = False) -> Outcome | None:
        """A remembered completion that the user is typing through. Does not block.

        `peek` does not count as a use.
        """
        if self._candidates(context) > 1:
            return None  # the cache has one candidate alone
        if (found := self._cache.get(context, peek=peek)) is None:
            return None
        return Outcome((found.text,), source="prefetched" if found.prefetched else "typedThrough")

    def gate(self, context: CompletionContext) -> Outcome | None:
        """The refusal of a request that does not merit the model's time; None for one that does."""
        reason = (
            gate.exclusion(context, self._preferences.exclude)
            or self._cache.get_nothing(context)
            or gate.refusal(context, self._languages)
        )
        return Outcome(reason=reason) if reason else None

    def complete(
        self,
        context: CompletionContext,
        stop: Stop | None = None,
        on_text: Callable[[str], None] = lambda text: None,
        *,
        prefetched: bool = False,
    ) -> Outcome:
        """Generate, filter and remember the completions of a context.

        `on_text` gets the first text so far, longer each time; the result starts with the last of
        them. Ends at the next piece once `stop` is set. Raises EngineError.
        """
        stop = stop or Stop()
        stopped = False
        answers = [
            _Answer(context, self._preferences, self._time_limit)
            for _ in range(self._candidates(context))
        ]

        def on_piece(piece: Piece) -> bool:
            nonlocal stopped
            stopped = stop.is_set()
            answer = answers[piece.candidate]
            if stopped or answer.add(piece):
                return True
            if answer is answers[0] and answer.grow():
                on_text(answer.shown)
            return False

        limits = Limits(
            self._preferences.max_new_tokens,
            self._preferences.latency_budget_ms,
            candidates=len(answers),
        )
        cost = self._engine.generate(context, limits, on_piece, stop)
        if stopped or cost.stopped:
            return Outcome(cost=cost, superseded=True)
        outcome = _outcome(answers, cost)
        if outcome.texts:
            self._cache.put(context, outcome.texts[0], prefetched=prefetched)
        else:
            self._cache.put_nothing(context, outcome.reason)
        if stop.is_set():  # superseded, but remembered: the next key may be the completion's own
            return Outcome(cost=cost, superseded=True)
        return outcome

    def prefetch(self, context: CompletionContext, stop: Stop) -> Cost:
        """Complete a context before it is requested, so that `recall` finds the completion.

        Raises EngineError.
        """
        if self.recall(context, peek=True) is not None or self.gate(context) is not None:
            return Cost()
        return self.complete(context, stop, prefetched=True).cost

    def prepare(self, context: CompletionContext, stop: Stop) -> int:
        """Have the engine cache the prefix that the next requests here share.

        Returns the number of tokens computed. Raises EngineError.
        """
        if gate.exclusion(context, self._preferences.exclude):
            return 0
        return self._engine.prepare(context, stop)

    def _candidates(self, context: CompletionContext) -> int:
        return self._preferences.candidates if context.trigger == "invoked" else 1


def wants_lines(context: CompletionContext, multiline: str) -> bool:
    """Whether a completion may go past the end of the cursor's line; `multiline` is the setting."""
    if multiline != "auto":
        return multiline == "always"
    if context.line_suffix.strip():
        return False
    return not context.line_prefix.strip() or opens_block(context.language, context.line_prefix)


class _Answer:
    """One candidate while it is generated: its text, and the part that has been shown."""

    def __init__(
        self, context: CompletionContext, preferences: Preferences, time_limit: float
    ) -> None:
        self._context = context
        # A user who asks by hand sees the best candidate, however unsure the model is.
        self._least = preferences.min_confidence if context.trigger == "automatic" else 0.0
        self._lines = wants_lines(context, preferences.multiline)
        self._time_limit, self._deadline = time_limit, math.inf
        self._raw = self._text = ""
        self._log_prob, self._tokens = 0.0, 0
        self.shown = ""

    @property
    def score(self) -> float:
        """Mean log probability of its tokens, in nats."""
        return self._log_prob / max(1, self._tokens)

    def add(self, piece: Piece) -> bool:
        """Take a piece; True when a filter would cut off the next pieces, or the time is over."""
        if not self._tokens:
            self._deadline = time.monotonic() + self._time_limit
        self._raw += piece.text
        self._log_prob += piece.log_prob
        self._tokens += piece.tokens
        self._text, is_complete = filters.end(self._raw, self._context, self._lines)
        return is_complete or time.monotonic() >= self._deadline

    def grow(self) -> bool:
        """Whether `shown` has become longer. No filter will take any of it back."""
        if math.exp(self.score) < self._least:
            return False
        settled = filters.settled(self._text, self._context)
        if len(settled) <= len(self.shown) or not settled.startswith(self.shown):
            return False
        self.shown = settled
        return True

    def finish(self, allowed_tokens: int | None) -> str | Drop:
        """The text to show, or the reason for none."""
        cut_off = allowed_tokens is not None and self._tokens >= allowed_tokens
        result = filters.finish(self._text, self._context, cut_off)
        if self.shown and (isinstance(result, Drop) or not result.startswith(self.shown)):
            return self.shown  # a text on the screen is not retracted
        if not self.shown and math.exp(self.score) < self._least and not isinstance(result, Drop):
            return Drop(
                f"the model is not sure enough ({math.exp(self.score):.2f} is below "
                f"minConfidence {self._least})"
            )
        return result


def _outcome(answers: Sequence[_Answer], cost: Cost) -> Outcome:
    """The candidates' texts, each once; if the first has none, its reason."""
    first, *others = [answer.finish(cost.allowed_tokens) for answer in answers]
    if isinstance(first, Drop):
        return Outcome(reason=first.reason, cost=cost)
    texts = dict.fromkeys([first, *(each for each in others if isinstance(each, str))])
    return Outcome(tuple(texts), source="model", score=answers[0].score, cost=cost)
