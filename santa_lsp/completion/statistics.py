"""Counters since the server started: the sources of its answers, and their cost.

They are numbers; no text of the user's gets here.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from santa_lsp.completion.completer import Outcome
from santa_lsp.completion.engine import CacheCounts

REQUESTS = ("requests", "dropped", "superseded")
SOURCES = ("typedThrough", "prefetched", "model")
TOKENS = ("prompt", "prefilled", "reused", "generated", "prefetched", "wasted")


def _zero(*names: str) -> Counter[str]:
    return Counter(dict.fromkeys(names, 0))


@dataclass(slots=True)
class Statistics:
    """Counters by name, for the event loop alone.

    Of the tokens, `prefetched` were computed before a request, and `wasted` for requests that were
    superseded.
    """

    requests: Counter[str] = field(default_factory=lambda: _zero(*REQUESTS))
    answered: Counter[str] = field(default_factory=lambda: _zero(*SOURCES))
    tokens: Counter[str] = field(default_factory=lambda: _zero(*TOKENS))
    last: Outcome | None = None  # of the requests that were not superseded

    def as_dict(self, prefix_cache: CacheCounts) -> dict[str, Any]:
        """The result of `santa.statistics` (docs/protocol.md)."""
        return {
            **self.requests,
            "answered": dict(self.answered),
            "tokens": dict(self.tokens),
            "prefixCache": dataclasses.asdict(prefix_cache),
            "last": _as_dict(self.last) if self.last else None,
        }


def _as_dict(outcome: Outcome) -> dict[str, Any]:
    cost = outcome.cost
    return {
        "source": outcome.source,
        "promptTokens": cost.prefilled_tokens + cost.reused_tokens,
        "prefilledTokens": cost.prefilled_tokens,
        "reusedTokens": cost.reused_tokens,
        "generatedTokens": cost.generated_tokens,
        "debounceMs": round(cost.debounce_ms, 2),
        "queueMs": round(cost.queue_ms, 2),
        "prefillMs": round(cost.prefill_ms, 2),
        "decodeMs": round(cost.decode_ms, 2),
    }
