"""The model that is served: loaded, set up anew, replaced, kept when its successor fails."""

from __future__ import annotations

import asyncio
import threading

import pytest

from santa_lsp.completion.completer import Outcome
from santa_lsp.completion.engine import CacheCounts, Engine, EngineError
from santa_lsp.models import ModelError
from santa_lsp.server.model import ServedModel
from santa_lsp.settings import Settings
from tests.support.cursor import at_cursor
from tests.support.editor import until
from tests.support.scripted_engine import ScriptedEngine


class Closable(ScriptedEngine):
    """Says the name of its model."""

    closed = False

    def close(self) -> None:
        self.closed = True


class Loader:
    """Loads engines by their models' names, the held ones once they are let go."""

    def __init__(self, held: set[str] = frozenset()) -> None:  # type: ignore[assignment]
        self.held = {name: threading.Event() for name in held}
        self.engines: dict[str, Closable] = {}
        self.asked: list[str] = []

    def __call__(self, settings: Settings) -> Engine:
        self.asked.append(settings.model)
        if settings.model in self.held:
            self.held[settings.model].wait(60)
        if settings.model == "missing":
            raise ModelError("there is no model 'missing'")
        if settings.model == "broken":
            raise EngineError("it cannot be computed")
        return self.engines.setdefault(settings.model, Closable(settings.model))


def says(model: ServedModel) -> str:
    """The name of the model that completes now."""
    assert model.completer is not None
    outcome: Outcome = model.completer.complete(at_cursor("x = ║"))
    return outcome.texts[0]


async def test_a_model_is_ready_once_it_is_loaded() -> None:
    model = ServedModel(Loader())
    assert (model.state, model.completer, model.loaded.is_set()) == ("loading", None, False)
    assert model.cache_counts() == CacheCounts()
    await model.load(Settings(model="first"))
    assert (model.state, model.failure, model.loaded.is_set()) == ("ready", "", True)
    assert says(model) == "first"


async def test_the_old_model_serves_while_the_new_one_loads() -> None:
    loader = Loader(held={"second"})
    model = ServedModel(loader)
    await model.load(Settings(model="first"))
    loading = asyncio.create_task(model.load(Settings(model="second")))
    await until(lambda: "second" in loader.asked)
    assert model.state == "loading"
    assert says(model) == "first"
    assert not loader.engines["first"].closed
    loader.held["second"].set()
    await loading
    assert model.state == "ready"
    assert says(model) == "second"
    await until(lambda: loader.engines["first"].closed)
    assert not loader.engines["second"].closed


@pytest.mark.parametrize(
    ("name", "reason"), [("missing", "no model 'missing'"), ("broken", "cannot be computed")]
)
async def test_a_model_that_cannot_be_loaded_leaves_the_old_one(name: str, reason: str) -> None:
    loader = Loader()
    model = ServedModel(loader)
    await model.load(Settings(model="first"))
    await model.load(Settings(model=name))
    assert model.state == "ready"
    assert reason in model.failure
    assert says(model) == "first"
    assert not loader.engines["first"].closed
    await model.load(Settings(model="second"))
    assert (model.state, model.failure) == ("ready", "")


async def test_a_first_model_that_cannot_be_loaded_is_a_failure_and_no_wait() -> None:
    model = ServedModel(Loader())
    await model.load(Settings(model="missing"))
    assert (model.state, model.completer) == ("failed", None)
    assert "no model 'missing'" in model.failure
    await model.loaded.wait()  # requests are answered all the same


async def test_the_model_asked_for_last_is_the_one_that_is_served() -> None:
    """Also when it is loaded faster than the one asked for before."""
    loader = Loader(held={"slow"})
    model = ServedModel(loader)
    loads = [asyncio.create_task(model.load(Settings(model=name))) for name in ("slow", "fast")]
    await until(lambda: "slow" in loader.asked)
    await asyncio.sleep(0.01)
    loader.held["slow"].set()
    await asyncio.gather(*loads)
    assert says(model) == "fast"
    await until(lambda: loader.engines["slow"].closed)
    assert not loader.engines["fast"].closed


async def test_settings_that_need_no_other_model_are_used_at_once() -> None:
    loader = Loader()
    model = ServedModel(loader)
    await model.load(Settings(model="first"))
    assert says(model) == "first"
    model.configure(Settings(model="first", max_new_tokens=2))
    assert says(model) == "fi"  # what was remembered under the settings before is forgotten
    assert loader.asked == ["first"]


async def test_settings_before_the_first_model_change_nothing() -> None:
    model = ServedModel(Loader())
    model.configure(Settings())
    assert model.completer is None


@pytest.mark.parametrize(
    ("known", "wanted", "completed"),
    [
        (("python", "java"), "auto", ["python", "java"]),
        ((), "auto", ["*"]),
        (("python",), ("go", "rust"), ["go", "rust"]),
        (("python",), ("*",), ["*"]),
    ],
)
async def test_the_languages_are_the_model_s_or_the_user_s(
    known: tuple[str, ...], wanted: str | tuple[str, ...], completed: list[str]
) -> None:
    engine = ScriptedEngine("x")
    engine.languages = known
    model = ServedModel(lambda settings: engine)
    assert model.languages(Settings(languages=wanted)) == ["*"]  # nothing is known yet
    await model.load(Settings(languages=wanted))
    assert model.languages(Settings(languages=wanted)) == completed
