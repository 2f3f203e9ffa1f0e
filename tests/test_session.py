"""The state of one client: its settings and model, what it has been shown and has taken."""

from __future__ import annotations

import asyncio
import shutil
import threading
from pathlib import Path

import pytest

from santa_lsp.completion.engine import Engine
from santa_lsp.engines import load_engine
from santa_lsp.models import ModelError, embedded_directory
from santa_lsp.server.requests import answer, respond
from santa_lsp.settings import Settings
from tests.support.editor import URI, Desk, until
from tests.support.scripted_engine import HeldEngine, ScriptedEngine


def load_by_name(settings: Settings) -> Engine:
    """Every model says its name, but for one that there is not."""
    if settings.model == "missing":
        raise ModelError("there is no model 'missing'")
    return ScriptedEngine(settings.model)


async def text_at(desk: Desk, text: str) -> str | None:
    outcome = await answer(desk.session, desk.place(text))
    return outcome.texts[0] if outcome.texts else None


async def test_options_of_the_editor_go_over_those_of_the_command_line() -> None:
    desk = await Desk.loading(load_by_name, model="first", min_confidence=0.3)
    await desk.session.load_model()
    await desk.session.use_options({"maxNewTokens": 3})
    assert desk.session.settings.max_new_tokens == 3
    assert desk.session.settings.min_confidence == 0.3
    assert await text_at(desk, "x = ║") == "fir"
    await desk.session.use_options({})
    assert await text_at(desk, "x = ║") == "first"


async def test_a_bad_option_is_told_and_the_others_are_used() -> None:
    desk = await Desk.loading(load_by_name, model="first")
    await desk.session.load_model()
    await desk.session.use_options({"maxNewTokens": 3, "threads": "many", "modle": "x"})
    told = [message["message"] for message in desk.editor.told("window/showMessage")]
    assert len(told) == 2
    assert any("'threads'" in each for each in told)
    assert any("'modle'" in each for each in told)
    assert await text_at(desk, "x = ║") == "fir"


async def test_another_model_is_loaded_when_the_options_name_one() -> None:
    desk = await Desk.loading(load_by_name, model="first")
    await desk.session.load_model()
    await desk.session.use_options({"model": "second"})
    assert await text_at(desk, "x = ║") == "second"


async def test_a_model_that_cannot_be_loaded_leaves_settings_and_model_as_they_were() -> None:
    desk = await Desk.loading(load_by_name, model="first")
    await desk.session.load_model()
    await desk.session.use_options({"model": "missing", "maxNewTokens": 3})
    (told,) = desk.editor.told("window/showMessage")
    assert "no model 'missing'" in told["message"]
    assert desk.session.settings.model == "first"
    status = desk.session.status()
    assert (status["state"], status["model"], status["failure"]) == ("ready", "first", "")
    assert await text_at(desk, "x = ║") == "first"


@pytest.mark.parametrize("damaged", ["model.bin", "tokenizer.json", "santa.json", "config.json"])
async def test_a_damaged_model_is_told_with_what_to_do(tmp_path: Path, damaged: str) -> None:
    directory = tmp_path / "model"
    shutil.copytree(embedded_directory(), directory)
    file = directory / damaged
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    desk = await Desk.loading(load_engine, model=str(directory), threads=1)
    await desk.session.load_model()
    (told,) = desk.editor.told("window/showMessage")
    assert str(directory) in told["message"]
    assert "again" in told["message"]
    assert await text_at(desk, "x = ║") is None


async def test_options_that_come_while_a_model_loads_are_used_with_it() -> None:
    loaded = threading.Event()

    def load(settings: Settings) -> Engine:
        loaded.wait(60)
        return ScriptedEngine("first")

    desk = await Desk.loading(load)
    loading = asyncio.create_task(desk.session.load_model())
    await asyncio.sleep(0)
    await desk.session.use_options({"maxNewTokens": 3})
    loaded.set()
    await loading
    assert await text_at(desk, "x = ║") == "fir"


async def test_what_is_accepted_is_counted_and_what_follows_it_prefetched() -> None:
    engine = ScriptedEngine("value")
    desk = await Desk.with_engine(engine)
    await respond(desk.session, desk.place("x = ║"))
    desk.session.accept(URI, 0)
    await until(lambda: len(engine.contexts) == 3)
    assert [context.prefix for context in engine.contexts[1:]] == ["x = value", "x = value\n"]
    desk.session.accept(URI, 0)  # it was taken already: an editor that says so twice
    desk.session.accept(None, 0)
    assert desk.session.accepted == 3


@pytest.mark.parametrize(("uri", "candidate"), [(URI, 7), (URI, -1), ("file:///other.py", 0)])
async def test_an_unknown_completion_is_counted_and_nothing_follows(
    uri: str, candidate: int
) -> None:
    engine = ScriptedEngine("value")
    desk = await Desk.with_engine(engine)
    await respond(desk.session, desk.place("x = ║"))
    desk.session.accept(uri, candidate)
    await respond(desk.session, desk.place("y = 1 + ║"))
    assert desk.session.accepted == 1
    assert len(engine.contexts) == 2


async def test_a_client_that_names_no_document_took_what_was_shown_last() -> None:
    engine = ScriptedEngine("value")
    desk = await Desk.with_engine(engine)
    await respond(desk.session, desk.place("x = ║", uri="file:///a.py"))
    await respond(desk.session, desk.place("y = ║", uri="file:///b.py"))
    desk.session.accept(None, 0)
    await until(lambda: len(engine.contexts) >= 3)
    assert engine.contexts[2].prefix == "y = value"


async def test_a_closed_document_stops_its_request() -> None:
    engine = HeldEngine("value")
    desk = await Desk.with_engine(engine)
    request = asyncio.create_task(respond(desk.session, desk.place("x = ║")))
    engine.go_on(2)
    await until(lambda: engine.said == "va")
    desk.session.forget(URI)
    engine.go_on()
    assert (await request).superseded
    assert engine.said == "va"


async def test_status_goes_to_a_client_that_wants_it_alone() -> None:
    desk = await Desk.loading(load_by_name, model="first")
    await desk.session.load_model()
    assert desk.editor.told("santa/status") == []
    desk.session.client.wants_status = True
    await desk.session.load_model()
    states = [status["state"] for status in desk.editor.told("santa/status")]
    assert states == ["loading", "ready"]
