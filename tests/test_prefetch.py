"""What is computed before anybody asks, with an engine that says what it is told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from santa_lsp.bench.connection import TIMEOUT
from santa_lsp.completion.completer import Completer, Outcome
from santa_lsp.completion.context import CompletionContext
from santa_lsp.completion.engine import Stop
from santa_lsp.completion.statistics import Statistics
from santa_lsp.server.model import ServedModel
from santa_lsp.server.prefetch import Prefetcher, following
from santa_lsp.server.typing_speed import TypingSpeed
from santa_lsp.settings import Settings
from tests.support.cursor import CURSOR, at_cursor
from tests.support.editor import until
from tests.support.scripted_engine import HeldEngine, ScriptedEngine


class Preparing(ScriptedEngine):
    """Keeps the contexts that it prepares; each may end when the test says so."""

    def __init__(self, text: str, *, held: bool = False) -> None:
        super().__init__(text)
        self.prepared: list[CompletionContext] = []
        self.may_end = threading.Semaphore(0 if held else 1000)

    def prepare(self, context: CompletionContext, stop: Stop) -> int:
        self.prepared.append(context)
        self.may_end.acquire()
        return len(context.prefix)


@pytest.fixture
async def held() -> AsyncIterator[HeldEngine]:
    """An engine whose every piece the test allows; nothing waits for it at the end."""
    engine = HeldEngine("value")
    yield engine
    engine.go_on()


class Typist(TypingSpeed):
    """Rests at the cursor after so many seconds."""

    def __init__(self, pause: float) -> None:
        super().__init__()
        self._pause = pause

    def pause(self) -> float:
        return self._pause


async def prefetching(
    engine: ScriptedEngine, pause: float = 0.0
) -> tuple[Prefetcher, Completer, Statistics]:
    model, statistics = ServedModel(lambda settings: engine), Statistics()
    await model.load(Settings())
    assert model.completer is not None
    return Prefetcher(model, Typist(pause), statistics), model.completer, statistics


def expected(cursor: str, text: str) -> list[str]:
    """The texts with their cursor of what is expected after a completion."""
    return [each.prefix + CURSOR + each.suffix for each in following(at_cursor(cursor), text)]


@pytest.mark.parametrize(
    ("cursor", "says", "after"),
    [
        ("x = f(║)\n", "a", ["x = f(a║)\n"]),
        ("    x = ║\ny\n", "1", ["    x = 1║\ny\n", "    x = 1\n    ║\ny\n"]),
        (
            "class A:\n  def f(self):\n║",
            "  if x:",
            ["class A:\n  def f(self):\n  if x:║", "class A:\n  def f(self):\n  if x:\n    ║"],
        ),
        ("def f():\n║", "    ", ["def f():\n    ║"]),
    ],
)
def test_what_follows_a_completion(cursor: str, says: str, after: list[str]) -> None:
    assert expected(cursor, says) == after


async def test_what_was_prefetched_answers_the_request_and_is_counted() -> None:
    prefetcher, completer, statistics = await prefetching(ScriptedEngine("value"))
    context = at_cursor("x = ║")
    prefetcher.expect([context])
    await prefetcher.arrival(context)
    assert completer.recall(context) == Outcome(("value",), source="prefetched")
    await until(lambda: statistics.tokens["prefetched"])
    assert statistics.tokens["prefetched"] == len("x = ") + len("value")
    assert statistics.tokens["prefilled"] == statistics.tokens["generated"] == 0


async def test_a_request_waits_for_what_is_being_computed_for_it(held: HeldEngine) -> None:
    prefetcher, completer, _ = await prefetching(held)
    context = at_cursor("x = ║")
    prefetcher.expect([context])
    waiting = asyncio.create_task(prefetcher.arrival(context))
    await asyncio.sleep(0)
    assert not waiting.done()
    held.go_on()
    await waiting
    assert completer.recall(context) is not None
    assert len(held.contexts) == 1


async def test_nobody_waits_for_what_was_not_expected(held: HeldEngine) -> None:
    prefetcher, _, _ = await prefetching(held)
    prefetcher.expect([at_cursor("x = ║")])
    await prefetcher.arrival(at_cursor("y = ║"))


async def test_prefetching_stops_at_the_next_piece_and_nobody_waits_for_it(
    held: HeldEngine,
) -> None:
    prefetcher, completer, _ = await prefetching(held)
    first, second = at_cursor("x = ║"), at_cursor("x = 1\n║")
    prefetcher.expect([first, second])
    held.go_on(1)
    await until(lambda: held.said == "v")
    waiting = asyncio.create_task(prefetcher.arrival(first))
    await asyncio.sleep(0)
    prefetcher.give_way()
    await asyncio.wait_for(waiting, TIMEOUT)
    # The user waits for the model now, and is not kept by the prefetch that has not ended.
    held.go_on()
    outcome = await asyncio.to_thread(completer.complete, at_cursor("y = ║"))
    assert outcome.texts == ("value",)
    assert completer.recall(first) is completer.recall(second) is None
    assert [context.prefix for context in held.contexts] == ["x = ", "y = "]


async def test_expecting_the_same_again_starts_nothing_anew(held: HeldEngine) -> None:
    prefetcher, _, _ = await prefetching(held)
    context = at_cursor("x = ║")
    prefetcher.expect([context])
    prefetcher.expect([context])
    held.go_on()
    await prefetcher.arrival(context)
    prefetcher.expect([context])
    await prefetcher.arrival(context)
    assert len(held.contexts) == 1


async def test_a_prefix_is_cached_where_the_cursor_rests() -> None:
    engine = Preparing("value")
    prefetcher, _, statistics = await prefetching(engine, pause=0.02)
    for text in ("a║", "ab║", "abc║"):  # keys, each before the pause is over
        prefetcher.cursor_moved(lambda text=text: at_cursor(text))  # type: ignore[misc]
    await until(lambda: statistics.tokens["prefetched"])
    assert [context.prefix for context in engine.prepared] == ["abc"]
    assert statistics.tokens["prefetched"] == 3


async def test_nothing_is_cached_for_a_document_that_was_closed_meanwhile() -> None:
    engine = Preparing("value")
    prefetcher, _, _ = await prefetching(engine)
    looks: list[None] = []
    prefetcher.cursor_moved(lambda: looks.append(None))
    await until(lambda: looks)
    prefetcher.cursor_moved(lambda: at_cursor("a║"))
    await until(lambda: engine.prepared)
    assert len(engine.prepared) == 1


async def test_nothing_piles_up_behind_a_long_prefill() -> None:
    """Places that the cursor has left meanwhile are not prepared; and no request waits for it."""
    engine = Preparing("value", held=True)
    prefetcher, completer, _ = await prefetching(engine)
    for text in ("a║", "ab║", "abc║", "abcd║"):
        prefetcher.cursor_moved(lambda text=text: at_cursor(text))  # type: ignore[misc]
        await until(lambda: engine.prepared)
        await asyncio.sleep(0.01)
    context = at_cursor("x = ║")
    prefetcher.expect([context])
    await prefetcher.arrival(context)  # it has not begun: at once
    prefetcher.give_way()
    outcome = await asyncio.to_thread(completer.complete, context)
    assert outcome.texts == ("value",)
    assert len(engine.prepared) == 1
    engine.may_end.release(1000)
    await until(lambda: len(engine.prepared) == 2)
    await asyncio.sleep(0.02)
    assert [context.prefix for context in engine.prepared] == ["a", "abcd"]
