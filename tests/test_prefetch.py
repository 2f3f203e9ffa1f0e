"""What is computed before anybody asks, with an engine that says what it is told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

import pytest
from santa_lsp.server.worker import ModelThread

from santa_lsp.completion.completer import Completion
from santa_lsp.completion.engine import GenerationParameters, Token
from santa_lsp.completion.statistics import Statistics, Work
from santa_lsp.server.prefetch import Ahead, following
from santa_lsp.server.typing_speed import Rhythm
from santa_lsp.settings import Settings
from tests.conftest import CURSOR, at_cursor
from tests.support.scripted_engine import ScriptedEngine


class Slow(ScriptedEngine):
    """Says the next character when it is allowed to; keeps what it was asked to prepare."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.allowed = threading.Semaphore(0)
        self.prepared: list[list[int]] = []
        self.prepares: threading.Semaphore | None = None  # how many may end

    def prepare(self, prompt_ids: Sequence[int]) -> int:
        self.prepared.append(list(prompt_ids))
        if self.prepares is not None:
            self.prepares.acquire()
        return len(prompt_ids)

    def generate(
        self,
        prompt_ids: Sequence[int],
        parameters: GenerationParameters,
        on_token: Callable[[Token], bool],
    ) -> int:
        def when_allowed(token: Token) -> bool:
            self.allowed.acquire()
            return on_token(token)

        return super().generate(prompt_ids, parameters, when_allowed)


async def ahead_of(engine: ScriptedEngine) -> tuple[Ahead, ModelThread, Statistics]:
    statistics = Statistics()
    model = ModelThread(lambda settings: engine, lambda *arguments: True, statistics)
    await model.load(Settings())
    return Ahead(model, Rhythm()), model, statistics


def shown(cursor: str, text: str) -> list[str]:
    """The texts with their cursor of what is expected after a completion."""
    return [each.prefix + CURSOR + each.suffix for each in following(at_cursor(cursor), text)]


def test_what_follows_a_completion() -> None:
    assert shown("x = f(║)\n", "a") == ["x = f(a║)\n"]
    assert shown("    x = ║\ny\n", "1") == ["    x = 1║\ny\n", "    x = 1\n    ║\ny\n"]
    block = "class A:\n  def f(self):\n║"
    assert shown(block, "  if x:")[1] == "class A:\n  def f(self):\n  if x:\n    ║"


async def test_what_was_computed_ahead_answers_the_request() -> None:
    engine = ScriptedEngine("value")
    ahead, model, statistics = await ahead_of(engine)
    context = at_cursor("x = ║")
    ahead.expect([context])
    await ahead.arrival(context)
    found = model.recall(context)
    assert found is not None
    assert (found.text, found.source) == ("value", "prefetched")
    statistics.used(found.unused_tokens)
    tokens = statistics.as_dict({})["tokens"]
    assert tokens["prefetched"] == found.unused_tokens > 0
    assert tokens["wasted"] == tokens["prefilled"] == 0


async def test_what_nobody_asks_for_is_counted_as_wasted() -> None:
    ahead, _, statistics = await ahead_of(ScriptedEngine("value"))
    context = at_cursor("x = ║")
    ahead.expect([context])
    await ahead.arrival(context)
    tokens = statistics.as_dict({})["tokens"]
    assert tokens["wasted"] == tokens["prefetched"] > 0


async def test_a_request_waits_for_what_is_being_computed_for_it() -> None:
    engine = Slow("value")
    ahead, model, _ = await ahead_of(engine)
    context = at_cursor("x = ║")
    ahead.expect([context])
    waiting = asyncio.create_task(ahead.arrival(context))
    await asyncio.sleep(0)
    assert not waiting.done()
    engine.allowed.release(99)
    await waiting
    assert model.recall(context) is not None
    assert len(engine.prompts) == 1


async def test_work_ahead_stops_at_the_next_token_and_nobody_waits_for_it() -> None:
    engine = Slow("value")
    ahead, model, _ = await ahead_of(engine)
    first, second = at_cursor("x = ║"), at_cursor("x = 1\n║")
    ahead.expect([first, second])
    engine.allowed.release()
    while len(engine.said) < 2:
        await asyncio.sleep(0.001)
    waiting = asyncio.create_task(ahead.arrival(second))
    await asyncio.sleep(0)
    ahead.give_way()
    await waiting
    # Somebody waits for the model now, and is not kept by the work that has not ended.
    engine.allowed.release(99)
    result = await model.complete(at_cursor("y = ║"), threading.Event(), lambda text: None, Work())
    assert isinstance(result, Completion)
    assert model.recall(first) is model.recall(second) is None
    assert len(engine.prompts) == 2


async def test_expecting_the_same_again_starts_nothing_anew() -> None:
    engine = Slow("value")
    ahead, *_ = await ahead_of(engine)
    context = at_cursor("x = ║")
    ahead.expect([context])
    ahead.expect([context])
    engine.allowed.release(99)
    await ahead.arrival(context)
    ahead.expect([context])
    await ahead.arrival(context)
    assert len(engine.prompts) == 1


async def test_an_anchor_is_computed_where_the_cursor_rests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Rhythm, "pause", lambda self: 0.02)
    engine = Slow("value")
    ahead, *_ = await ahead_of(engine)
    for text in ("a║", "ab║", "abc║"):  # keys, each before the pause is over
        ahead.rest(lambda text=text: at_cursor(text))  # type: ignore[misc]
    while not engine.prepared:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.05)
    assert [prompt[-3:] for prompt in engine.prepared] == [[97, 98, 99]]


async def test_nothing_is_prepared_in_a_file_that_is_excluded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Rhythm, "pause", lambda self: 0.0)
    engine = Slow("value")
    ahead, model, _ = await ahead_of(engine)
    ahead.rest(lambda: at_cursor("KEY=║", path="/home/.env"))
    await asyncio.sleep(0.02)
    await model.prepare(at_cursor("a║"))
    assert len(engine.prepared) == 1


async def test_nothing_piles_up_behind_a_long_prefill(monkeypatch: pytest.MonkeyPatch) -> None:
    """Places that the cursor has left meanwhile are not prepared; and no request waits for it."""
    monkeypatch.setattr(Rhythm, "pause", lambda self: 0.0)
    engine = Slow("value")
    engine.prepares = threading.Semaphore(0)
    ahead, model, _ = await ahead_of(engine)
    for text in ("a║", "ab║", "abc║", "abcd║"):
        ahead.rest(lambda text=text: at_cursor(text))  # type: ignore[misc]
        while not engine.prepared:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
    context = at_cursor("x = ║")
    ahead.expect([context])
    await ahead.arrival(context)  # it has not begun: at once
    ahead.give_way()
    engine.allowed.release(99)
    assert isinstance(
        await model.complete(context, threading.Event(), lambda text: None, Work()), Completion
    )
    assert len(engine.prepared) == 1
    engine.prepares.release(99)
    while len(engine.prepared) < 2:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.02)
    assert [prompt[-1] for prompt in engine.prepared] == [ord("a"), ord("d")]
