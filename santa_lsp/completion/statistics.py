"""Counters since the server started: what requests were answered from and what they cost.

Numbers only: nothing here has ever seen the user's text.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Literal

#: Where an answer came from; "none" is a request that showed nothing.
Source = Literal["typedThrough", "prefetched", "model", "none"]


@dataclass(slots=True)
class Work:
    """What one request has cost so far; filled in by whoever does a part of it. Times in ms."""

    source: Source = "none"
    prompt_tokens: int = 0
    prefilled_tokens: int = 0
    reused_tokens: int = 0
    generated_tokens: int = 0
    debounce_ms: float = 0.0
    queue_ms: float = 0.0
    prefill_ms: float = 0.0  # until the first token
    decode_ms: float = 0.0

    @property
    def computed_tokens(self) -> int:
        return self.prefilled_tokens + self.generated_tokens

    def as_dict(self) -> dict[str, Any]:
        """The names that `santa.statistics` uses."""
        return {
            "source": self.source,
            "promptTokens": self.prompt_tokens,
            "prefilledTokens": self.prefilled_tokens,
            "reusedTokens": self.reused_tokens,
            "generatedTokens": self.generated_tokens,
            "debounceMs": round(self.debounce_ms, 2),
            "queueMs": round(self.queue_ms, 2),
            "prefillMs": round(self.prefill_ms, 2),
            "decodeMs": round(self.decode_ms, 2),
        }


class Statistics:
    """Thread-safe. Requests are counted on the event loop, tokens where they are computed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests = dict.fromkeys(("requests", "dropped", "superseded"), 0)
        self._answered = dict.fromkeys(("typedThrough", "prefetched", "model"), 0)
        self._tokens = dict.fromkeys(
            ("prompt", "prefilled", "reused", "generated", "prefetched", "wasted"), 0
        )
        self._last: Work | None = None

    def request(self) -> None:
        """A request has come; `answered`, `dropped` or `superseded` follows."""
        with self._lock:
            self._requests["requests"] += 1

    def answered(self, work: Work) -> None:
        """It showed something, from `work.source`."""
        with self._lock:
            self._answered[work.source] += 1
            self._last = work

    def dropped(self, work: Work) -> None:
        """Its answer was null, for a reason."""
        with self._lock:
            self._requests["dropped"] += 1
            self._last = work

    def superseded(self) -> None:
        """Nobody waited for its answer any more: a newer request, a newer text, or a cancel."""
        with self._lock:
            self._requests["superseded"] += 1

    def computed(self, work: Work, wasted: bool) -> None:
        """The model has worked for a request; `wasted` if nobody took what it made."""
        with self._lock:
            self._tokens["prompt"] += work.prompt_tokens
            self._tokens["prefilled"] += work.prefilled_tokens
            self._tokens["reused"] += work.reused_tokens
            self._tokens["generated"] += work.generated_tokens
            self._tokens["wasted"] += work.computed_tokens if wasted else 0

    def computed_ahead(self, tokens: int, answer: bool) -> None:
        """The model has worked before anybody asked: for an answer, wasted until `used`, or for
        what requests have in common."""
        with self._lock:
            self._tokens["prefetched"] += tokens
            self._tokens["wasted"] += tokens if answer else 0

    def used(self, tokens: int) -> None:
        """What was computed ahead has answered a request."""
        with self._lock:
            self._tokens["wasted"] -= tokens

    def as_dict(self, anchors: dict[str, int]) -> dict[str, Any]:
        """Everything, as `santa.statistics` answers; `anchors` are the engine's own counters."""
        with self._lock:
            return {
                **self._requests,
                "answered": dict(self._answered),
                "tokens": dict(self._tokens),
                "anchors": anchors,
                "last": self._last.as_dict() if self._last else None,
            }
