"""Tokens that one request may compute, from the measured speed and `latencyBudgetMs`."""

from __future__ import annotations

from dataclasses import dataclass

from santa_lsp.completion.engine import Speed
from santa_lsp.models.speeds import LINE

#: Tokens of a prompt at least, also on a slow machine: fewer tell a model too little.
LEAST_PROMPT = 128
#: Nor of the suffix: a line or two.
LEAST_SUFFIX = 32


@dataclass(frozen=True, slots=True)
class Budget:
    """The tokens that an engine of this `speed` can compute within `latency_ms`."""

    speed: Speed
    latency_ms: int

    @property
    def prefill_tokens(self) -> int:
        """Tokens of a prompt that a request may prefill, in half of the time."""
        rate = self.speed.prefill_tokens_per_second
        return max(LEAST_PROMPT, int(rate * self.latency_ms / 2000))

    @property
    def suffix_tokens(self) -> int:
        """Tokens of a suffix that every key computes anew, in a quarter of the time."""
        rate = self.speed.prefill_tokens_per_second
        return max(LEAST_SUFFIX, int(rate * self.latency_ms / 4000))

    def new_tokens(self, to_prefill: int) -> int:
        """Tokens that it may generate in the time left after the prompt; a line at least."""
        left = self.latency_ms / 1000 - to_prefill / self.speed.prefill_tokens_per_second
        return max(LINE, int(left * self.speed.decode_tokens_per_second))
