"""From measured speed and the user's patience to what one request may cost."""

from __future__ import annotations

from dataclasses import dataclass

from santa_lsp.completion.engine import Speed
from santa_lsp.models.speeds import LINE

#: A prompt of fewer tokens than this tells a model too little, however long it takes to read.
LEAST_PROMPT = 128


@dataclass(frozen=True, slots=True)
class Budget:
    """What a request may cost on a machine of this `speed`, to be answered in `latency_ms`."""

    speed: Speed
    latency_ms: int

    @property
    def prefill_tokens(self) -> int:
        """Tokens of a prompt that a request may compute, in half of the time."""
        rate = self.speed.prefill_tokens_per_second
        return max(LEAST_PROMPT, int(rate * self.latency_ms / 2000))

    def new_tokens(self, to_prefill: int) -> int:
        """Tokens that it may generate in what the prompt leaves of the time; a line at least."""
        left = self.latency_ms / 1000 - to_prefill / self.speed.prefill_tokens_per_second
        return max(LINE, int(left * self.speed.decode_tokens_per_second))
