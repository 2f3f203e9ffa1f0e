"""Measures the speed of an engine on this machine."""

from __future__ import annotations

import time

from santa_lsp.completion.engine import Limits, Stop
from santa_lsp.engines.local import LocalEngine
from santa_lsp.models.speeds import Measurement

PROMPT_TOKENS = 256
NEW_TOKENS = 16
#: The first warms caches up. The best counts, because other work of the machine only slows a run.
RUNS = 3


def measure(engine: LocalEngine, threads: int, stop: Stop) -> Measurement | None:
    """The engine's speed with the `threads` that it has; None once `stop` is set.

    Raises EngineError.
    """
    length = min(PROMPT_TOKENS, engine.n_positions - NEW_TOKENS)
    ids = engine.encode("def value(self, other):\n    return self.items[other] + 1\n\n")
    ids = (ids * (1 + length // len(ids)))[:length]
    prefill = decode = 0.0
    for _ in range(RUNS):
        times = _token_times(engine, ids, stop)
        if stop.is_set():
            return None
        prefill = max(prefill, length / times[0])
        decode = max(decode, (len(times) - 1) / max(1e-9, times[-1] - times[0]))
    return Measurement(threads, round(prefill, 1), round(decode, 1))


def _token_times(engine: LocalEngine, prompt_ids: list[int], stop: Stop) -> list[float]:
    """Seconds from the call to each token; at least two, also where the model says nothing."""
    times: list[float] = []
    started = time.perf_counter()

    def on_token(token: object) -> bool:
        times.append(time.perf_counter() - started)
        return stop.is_set()

    while len(times) < 2 and not stop.is_set():
        times.clear()
        started = time.perf_counter()
        engine.generate_tokens(prompt_ids, Limits(NEW_TOKENS, reuse=False), on_token)
        prompt_ids = prompt_ids[1:]  # the model ends the text here: try another prompt
    return times
