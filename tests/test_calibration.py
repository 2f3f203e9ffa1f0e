"""A model is measured once, in idle time, and then served as it is fastest."""

from __future__ import annotations

from pathlib import Path

import pytest

from santa_lsp import EMBEDDED, engines, models
from santa_lsp.completion.engine import Engine, Stop
from santa_lsp.engines.ctranslate2 import CTranslate2Engine
from santa_lsp.models import speeds
from santa_lsp.settings import Settings
from tests.support.scripted_engine import ScriptedEngine


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who has measured nothing yet."""
    monkeypatch.setenv("SANTA_LSP_HOME", str(tmp_path))
    return tmp_path


def load(**settings: object) -> tuple[CTranslate2Engine, Settings]:
    chosen = Settings(**settings)  # type: ignore[arg-type]
    engine: Engine = engines.load_engine(chosen)
    assert isinstance(engine, CTranslate2Engine)
    return engine, chosen


def test_a_model_is_measured_once_and_served_as_it_is_fastest() -> None:
    engine, settings = load()
    assert engine.speed is None
    assert engines.calibrate(engine, settings, Stop())
    measured = speeds.recall(models.find(EMBEDDED))
    assert engine.speed == speeds.fastest(measured)
    assert engine.threads == engine.speed.threads
    assert min(speed.prefill_tokens_per_second for speed in measured) > 0
    again, _ = load()
    assert again.speed == engine.speed


def test_the_number_of_threads_that_is_set_is_the_one_measured() -> None:
    engine, settings = load(threads=1)
    assert engines.calibrate(engine, settings, Stop())
    assert [speed.threads for speed in speeds.recall(models.find(EMBEDDED))] == [1]


def test_a_measurement_gives_way_and_leaves_no_trace(home: Path) -> None:
    engine, settings = load(threads=1)
    stop = Stop()
    stop.set()
    assert not engines.calibrate(engine, settings, stop)
    assert engine.speed is None
    assert not list(home.iterdir())


def test_an_engine_that_holds_no_model_is_not_measured(home: Path) -> None:
    assert engines.calibrate(ScriptedEngine("x"), Settings(), Stop())
    assert not list(home.iterdir())
