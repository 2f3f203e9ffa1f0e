"""From measured speed to what a request may cost; what is measured once is remembered."""

from __future__ import annotations

from pathlib import Path

import pytest

from santa_lsp import engines, models
from santa_lsp.completion.cache import CompletionCache
from santa_lsp.completion.completer import Completer, CompleterConfig, Completion
from santa_lsp.engines.budget import LEAST_PROMPT, LINE, Budget, Speed, fastest
from santa_lsp.engines.ctranslate2 import CTranslate2Engine
from santa_lsp.models import EMBEDDED, speeds
from santa_lsp.settings import Settings
from tests.conftest import CURSOR, at_cursor
from tests.support.scripted_engine import ScriptedEngine

LONG = "value = other(1)\n" * 200


def test_the_number_of_threads_that_answers_a_line_first_is_taken() -> None:
    one, two = Speed(1, 3_000, 300), Speed(2, 4_400, 190)
    assert fastest([one, two]) is one  # a small model: decoding counts
    one, two = Speed(1, 100, 5), Speed(2, 200, 10)
    assert fastest([one, two]) is two


def test_a_fast_model_may_read_and_write_all_there_is() -> None:
    budget = Budget(Speed(1, 20_000, 1_000), 400)
    assert budget.prefill_tokens == 4_000
    assert budget.new_tokens(0) == 400
    assert budget.new_tokens(4_000) == 200


def test_a_slow_model_gets_what_makes_sense_at_least() -> None:
    budget = Budget(Speed(2, 200, 10), 400)
    assert budget.prefill_tokens == LEAST_PROMPT
    assert budget.new_tokens(128) == budget.new_tokens(0) == LINE


class Anchored(ScriptedEngine):
    """Has an anchor that leaves so many tokens to compute."""

    left = 1_000_000

    def reusable(self, prompt_ids: object) -> int:
        return max(0, len(prompt_ids) - self.left)  # type: ignore[arg-type]


def asked(engine: ScriptedEngine, speed: Speed | None) -> tuple[int, str]:
    """Length of the prompt, and the completion, within 400 ms."""
    engine.speed = speed
    config = CompleterConfig(latency_budget_ms=400, max_new_tokens=64)
    result = Completer(engine, config, CompletionCache()).complete(
        at_cursor(LONG + "x = " + CURSOR)
    )
    assert isinstance(result, Completion)
    return len(engine.prompts[-1]), result.text


def test_a_request_that_would_take_too_long_gets_a_shorter_prompt() -> None:
    words = "".join(map(chr, range(256, 356)))  # nothing in it that a filter would cut
    whole, text = asked(Anchored(words), None)
    assert whole > 1_000
    assert len(text) == 64
    assert asked(Anchored(words), Speed(1, 1e6, 1e6)) == (whole, text)
    short, text = asked(Anchored(words), Speed(1, 1_000, 100))
    assert 100 <= short <= 200  # half of the time
    assert 20 <= len(text) <= 32  # the other half
    engine = Anchored(words)
    engine.left = 8
    warm, text = asked(engine, Speed(1, 1_000, 100))
    assert warm == whole
    assert len(text) == 39


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SANTA_LSP_HOME", str(tmp_path))
    return tmp_path


def test_a_model_is_measured_once_and_served_as_it_is_fastest(home: Path) -> None:
    engine = engines.load_engine(Settings())
    assert isinstance(engine, CTranslate2Engine)
    assert engine.speed is None
    assert engines.calibrate(engine, Settings(), lambda: False)
    measured = speeds.recall(models.find(EMBEDDED))
    assert engine.speed == fastest(measured)
    assert engine.threads == engine.speed.threads
    assert min(speed.prefill_tokens_per_second for speed in measured) > 0
    again = engines.load_engine(Settings())
    assert again.speed == engine.speed
    assert speeds.recall(models.find(EMBEDDED), Settings(compute_type="float32").how) == []


def test_the_number_of_threads_that_is_set_is_the_one_measured(home: Path) -> None:
    engine = engines.load_engine(Settings(threads=1))
    assert engines.calibrate(engine, Settings(threads=1), lambda: False)
    assert [speed.threads for speed in speeds.recall(models.find(EMBEDDED))] == [1]


def test_a_measurement_gives_way_and_leaves_no_trace(home: Path) -> None:
    engine = engines.load_engine(Settings(threads=1))
    assert not engines.calibrate(engine, Settings(threads=1), lambda: True)
    assert engine.speed is None
    assert not list(home.iterdir())
