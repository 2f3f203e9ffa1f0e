"""What the completer needs of a model, whichever library or server computes it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from santa_lsp.completion.context import CompletionContext

#: Set by whoever no longer needs an answer. An engine looks at it before every token and may wait
#: on it.
Stop = threading.Event


class EngineError(Exception):
    """The model cannot be loaded or failed while generating; says what to do."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Text as it is generated: of one token, or of several.

    `log_prob` is the sum over its `tokens`, natural, under the model's own distribution.
    """

    text: str
    log_prob: float = 0.0
    tokens: int = 1
    candidate: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """What one answer may cost, and how it is sampled.

    `milliseconds` bounds prompt and answer by what the engine was measured to compute in that time;
    None does not. `temperature` 0 is greedy; otherwise the `top_p` nucleus is sampled. `candidates`
    above 1 are generated together and begin with the likeliest first tokens. `reuse` False computes
    everything anew and keeps nothing, for measurements.
    """

    new_tokens: int
    milliseconds: int | None = None
    candidates: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    reuse: bool = True


@dataclass(frozen=True, slots=True)
class Cost:
    """What one answer has cost, in tokens and milliseconds.

    Of the prompt's tokens, `prefilled_tokens` were computed and `reused_tokens` were not.
    `prefill_ms` lasts until the first token. `debounce_ms` and `queue_ms` were spent waiting, for
    the next key and for the model. `allowed_tokens` is the limit there was for each candidate;
    `stopped` means that the engine ended because it was told to.
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
    """An engine's prefix cache: bytes now; prefixes built and dropped since the start."""

    bytes: int = 0
    built: int = 0
    dropped: int = 0


class Speed(Protocol):
    """How fast an engine computes on this machine, in tokens a second, as measured."""

    @property
    def prefill_tokens_per_second(self) -> float: ...

    @property
    def decode_tokens_per_second(self) -> float: ...


class Engine(Protocol):
    """A model that can be asked. Calls may come from two threads at a time: one for requests, one
    for what is computed before anybody asks.

    A class that names it as its base needs `generate` alone. `notice` is what the user should know
    of how the model was loaded; empty when all is well. `speed` is None until it was measured.
    """

    notice: str = ""
    speed: Speed | None = None
    cache_counts: CacheCounts = CacheCounts()

    def generate(
        self,
        context: CompletionContext,
        limits: Limits,
        on_piece: Callable[[Piece], bool],
        stop: Stop,
    ) -> Cost:
        """Generate what belongs at the cursor, piece by piece.

        It ends where the model ends, at a limit, when `stop` is set, or when `on_piece` returns
        True; of several candidates that ends the piece's own. Raises EngineError.
        """
        ...

    def prepare(self, context: CompletionContext, stop: Stop) -> int:
        """Compute ahead what requests near this cursor have in common, where that pays.

        Returns the number of tokens computed. Raises EngineError.
        """
        return 0

    def close(self) -> None:
        """Give back memory and connections. The engine is not used again."""
