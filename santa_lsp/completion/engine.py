"""The completer's view of a model; a library or an inference server implements it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from santa_lsp.completion.context import CompletionContext

#: The caller sets it to end a computation. An engine reads it before every token, and may wait on
#: it.
Stop = threading.Event


class EngineError(Exception):
    """The model could not be loaded, or failed while generating. The message names the remedy."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Generated text of one token or of several.

    `log_prob` is the sum over its `tokens`, natural, under the model's own distribution.
    """

    text: str
    log_prob: float = 0.0
    tokens: int = 1
    candidate: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one answer, and its sampling.

    `milliseconds` bounds prompt and answer by the engine's measured speed; None leaves them
    unbounded. `temperature` 0 is greedy; otherwise the `top_p` nucleus is sampled. `candidates`
    above 1 are generated together and begin with the likeliest first tokens. With `reuse` False the
    engine computes everything anew and caches nothing, for measurements.
    """

    new_tokens: int
    milliseconds: int | None = None
    candidates: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    reuse: bool = True


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one answer, in tokens and milliseconds.

    Of the prompt's tokens, `prefilled_tokens` were computed and `reused_tokens` were kept from
    earlier calls. `prefill_ms` lasts until the first token. `debounce_ms` was spent waiting for the
    next key, `queue_ms` waiting for the model. `allowed_tokens` is the limit of each candidate.
    `stopped`: the engine ended because its stop signal was set.
    """

    prefilled_tokens: int = 0
    reused_tokens: int = 0
    generated_tokens: int = 0
    prefill_ms: float = 0.0
    decode_ms: float = 0.0
    debounce_ms: float = 0.0
    queue_ms: float = 0.0
    allowed_tokens: int | None = None
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class CacheCounts:
    """An engine's prefix cache: its bytes now; prefixes built and dropped since the start."""

    bytes: int = 0
    built: int = 0
    dropped: int = 0


class Speed(Protocol):
    """An engine's measured speed on this machine, in tokens a second."""

    @property
    def prefill_tokens_per_second(self) -> float: ...

    @property
    def decode_tokens_per_second(self) -> float: ...


class Engine(Protocol):
    """A model that completes contexts. Two threads may call it at a time: one for requests, one for
    prefetching.

    A class with this base needs `generate` alone. `notice` tells the user of a problem in loading;
    empty without one. `languages` are LSP identifiers of those that the model knows; empty when it
    may know any. `speed` is None until it was measured.
    """

    notice: str = ""
    languages: tuple[str, ...] = ()
    speed: Speed | None = None
    cache_counts: CacheCounts = CacheCounts()

    def generate(
        self,
        context: CompletionContext,
        limits: Limits,
        on_piece: Callable[[Piece], bool],
        stop: Stop,
    ) -> Cost:
        """Generate the text at the cursor, piece by piece.

        It ends where the model ends, at a limit, when `stop` is set, or when `on_piece` returns
        True; of several candidates, True ends the piece's own. Raises EngineError.
        """
        ...

    def prepare(self, context: CompletionContext, stop: Stop) -> int:
        """Cache the prefix that requests near this cursor share, if that pays.

        Returns the number of tokens computed. Raises EngineError.
        """
        return 0

    def close(self) -> None:
        """Free memory and connections. The engine is not used again."""
        return None
