from __future__ import annotations

import json

from santa_lsp.completion.completer import Outcome
from santa_lsp.completion.engine import CacheCounts, Cost
from santa_lsp.completion.statistics import REQUESTS, SOURCES, TOKENS, Statistics


def test_every_counter_is_there_from_the_start() -> None:
    found = Statistics().as_dict(CacheCounts())
    assert {name: found[name] for name in REQUESTS} == dict.fromkeys(REQUESTS, 0)
    assert found["answered"] == dict.fromkeys(SOURCES, 0)
    assert found["tokens"] == dict.fromkeys(TOKENS, 0)
    assert found["prefixCache"] == {"bytes": 0, "built": 0, "dropped": 0}
    assert found["last"] is None


def test_the_last_outcome_is_its_source_and_cost_without_any_text() -> None:
    cost = Cost(30, 70, 5, prefill_ms=1.234, decode_ms=2.5, debounce_ms=40.0, queue_ms=0.004)
    statistics = Statistics(last=Outcome(("secret",), source="model", score=-0.5, cost=cost))
    found = statistics.as_dict(CacheCounts(bytes=1000, built=3, dropped=1))
    assert found["last"] == {
        "source": "model",
        "promptTokens": 100,
        "prefilledTokens": 30,
        "reusedTokens": 70,
        "generatedTokens": 5,
        "debounceMs": 40.0,
        "queueMs": 0.0,
        "prefillMs": 1.23,
        "decodeMs": 2.5,
    }
    assert found["prefixCache"] == {"bytes": 1000, "built": 3, "dropped": 1}
    assert "secret" not in json.dumps(found)
