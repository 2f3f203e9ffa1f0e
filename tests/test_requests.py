"""The policy of one completion request, step by step."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from santa_lsp.completion.completer import Outcome
from santa_lsp.completion.context import CompletionContext
from santa_lsp.completion.engine import Cost, Engine, EngineError, Limits, Piece, Stop
from santa_lsp.models import ModelError
from santa_lsp.server.requests import CHANGED, SUPERSEDED, answer, respond
from santa_lsp.server.snapshot import Snapshot
from tests.support.editor import URI, Desk, until
from tests.support.scripted_engine import HeldEngine, ScriptedEngine


@pytest.fixture
async def held() -> AsyncIterator[HeldEngine]:
    """An engine whose every piece the test allows; nothing waits for it at the end."""
    engine = HeldEngine("value")
    yield engine
    engine.go_on()


def begin(desk: Desk, snapshot: Snapshot, **options: Any) -> asyncio.Task[Outcome]:
    return asyncio.create_task(answer(desk.session, snapshot, **options))


async def computing(engine: ScriptedEngine, requests: int = 1) -> None:
    """Return once so many requests have reached the model."""
    await until(lambda: len(engine.contexts) == requests)


async def test_a_request_is_answered_by_the_model() -> None:
    desk = await Desk.with_engine(ScriptedEngine("value\n"))
    outcome = await answer(desk.session, desk.place("x = ║"))
    assert (outcome.texts, outcome.source, outcome.reason) == (("value",), "model", "")
    assert outcome.cost.generated_tokens > 0


# --- Supersede


async def test_the_newest_request_of_a_document_stops_the_one_before(held: HeldEngine) -> None:
    desk = await Desk.with_engine(held)
    first = begin(desk, desk.place("x = ║"))
    await computing(held)
    second = begin(desk, desk.place("x = 1 + ║"))
    await asyncio.sleep(0)
    held.go_on()
    outcome = await first
    assert outcome.superseded
    assert outcome.texts == ()
    assert outcome.cost.generated_tokens <= 1  # it ended at the next piece
    assert (await second).texts == ("value",)


async def test_a_request_of_another_document_is_left_alone(held: HeldEngine) -> None:
    desk = await Desk.with_engine(held)
    first = begin(desk, desk.place("x = ║", uri="file:///a.py"))
    await computing(held)
    second = begin(desk, desk.place("x = ║", uri="file:///b.py"))
    await asyncio.sleep(0)
    held.go_on()
    assert (await first).texts == (await second).texts == ("value",)


# --- The model


async def test_a_request_waits_for_the_model_and_only_the_newest_is_computed() -> None:
    engine = ScriptedEngine("value")
    desk = await Desk.loading(lambda settings: engine)
    first, second = (begin(desk, desk.place(text)) for text in ("x = ║", "x = 1 + ║"))
    await asyncio.sleep(0)
    assert not first.done()
    await desk.session.load_model()
    assert await first == SUPERSEDED
    assert (await second).texts == ("value",)
    assert len(engine.contexts) == 1


async def test_without_a_model_the_reason_is_why_it_could_not_be_loaded() -> None:
    def fail(settings: object) -> Engine:
        raise ModelError("there is no model 'nothing'")

    desk = await Desk.loading(fail)
    await desk.session.load_model()
    outcome = await answer(desk.session, desk.place("x = ║"))
    assert outcome == Outcome(reason="there is no model 'nothing'")


# --- Prefetched, remembered, refused


async def test_a_prefetch_of_the_very_text_is_awaited(held: HeldEngine) -> None:
    desk = await Desk.with_engine(held)
    here = desk.place("x = ║")
    desk.session.prefetcher.expect([here.context])
    await computing(held)
    request = begin(desk, here)
    await asyncio.sleep(0.01)
    assert not request.done()
    held.go_on()
    outcome = await request
    assert (outcome.texts, outcome.source) == (("value",), "prefetched")
    assert len(held.contexts) == 1


async def test_a_request_that_nobody_waits_for_is_not_answered_by_the_prefetch(
    held: HeldEngine,
) -> None:
    desk = await Desk.with_engine(held)
    here = desk.place("x = ║")
    desk.session.prefetcher.expect([here.context])
    await computing(held)
    request = begin(desk, here)
    await asyncio.sleep(0.01)
    desk.session.forget(URI)
    held.go_on()
    assert await request == SUPERSEDED


async def test_a_prefetch_of_another_text_gives_way(held: HeldEngine) -> None:
    desk = await Desk.with_engine(held)
    here, there = desk.place("x = ║"), desk.place("y = 1 + ║")
    desk.session.prefetcher.expect([here.context])
    await computing(held)
    request = begin(desk, there)
    await computing(held, 2)
    held.go_on()
    assert (await request).source == "model"
    assert desk.session.model.completer is not None
    assert desk.session.model.completer.recall(here.context) is None


async def test_typing_through_a_completion_is_answered_from_memory() -> None:
    engine = ScriptedEngine("value")
    desk = await Desk.with_engine(engine)
    await answer(desk.session, desk.place("x = ║"))
    outcome = await answer(desk.session, desk.place("x = va║"))
    assert outcome == Outcome(("lue",), source="typedThrough")
    assert len(engine.contexts) == 1


@pytest.mark.parametrize(
    ("text", "reason"), [("retu║rn x", "inside a word"), ("║", "file is empty")]
)
async def test_what_is_not_worth_the_model_s_time_is_refused_unless_requested_by_hand(
    text: str, reason: str
) -> None:
    engine = ScriptedEngine("value")
    desk = await Desk.with_engine(engine)
    outcome = await answer(desk.session, desk.place(text))
    assert reason in outcome.reason
    assert engine.contexts == []
    assert (await answer(desk.session, desk.place(text, "invoked"))).texts


# --- Wait


async def test_a_request_that_the_next_key_supersedes_never_reaches_the_model() -> None:
    engine = ScriptedEngine("value")
    desk = await Desk.with_engine(engine, debounce_ms=20)
    first, second = (begin(desk, desk.place(text)) for text in ("x = ║", "x = 1 + ║"))
    assert await first == SUPERSEDED
    outcome = await second
    assert outcome.texts == ("value",)
    assert outcome.cost.debounce_ms == 20
    assert len(engine.contexts) == 1


async def test_the_user_who_asks_by_hand_does_not_wait_for_a_key() -> None:
    desk = await Desk.with_engine(ScriptedEngine("value"), debounce_ms=5000)
    outcome = await answer(desk.session, desk.place("x = ║", "invoked"))
    assert outcome.texts == ("value",)
    assert outcome.cost.debounce_ms == 0


async def test_the_first_request_of_all_waits_for_no_key() -> None:
    """What an answer takes is not known yet."""
    desk = await Desk.with_engine(ScriptedEngine("value"), debounce_ms="auto")
    assert (await answer(desk.session, desk.place("x = ║"))).cost.debounce_ms == 0


async def test_the_request_before_may_have_computed_this_text_meanwhile(held: HeldEngine) -> None:
    desk = await Desk.with_engine(held)
    first = begin(desk, desk.place("x = ║"))
    held.go_on(len("value"))
    await until(lambda: held.said == "value")  # all but its end
    second = begin(desk, desk.place("x = va║"))
    await asyncio.sleep(0.01)
    assert not second.done()
    held.go_on()
    assert (await first).superseded
    assert await second == Outcome(("lue",), source="typedThrough")
    assert len(held.contexts) == 1


async def test_a_request_superseded_while_it_waits_for_its_turn_computes_nothing(
    held: HeldEngine,
) -> None:
    desk = await Desk.with_engine(held)
    other = begin(desk, desk.place("x = ║", uri="file:///other.py"))
    await computing(held)
    first = begin(desk, desk.place("x = ║"))
    await asyncio.sleep(0.01)  # until it waits
    second = begin(desk, desk.place("x = 1 + ║"))
    await asyncio.sleep(0)
    held.go_on()
    assert (await other).texts == (await second).texts == ("value",)
    assert await first == SUPERSEDED
    assert [context.prefix for context in held.contexts] == ["x = ", "x = 1 + "]


# --- Complete


async def test_a_request_that_waited_is_answered_by_the_model_that_was_loaded_meanwhile(
    held: HeldEngine,
) -> None:
    engines: list[Engine] = [held, ScriptedEngine("other\n")]
    desk = await Desk.loading(lambda chosen: engines.pop(0))
    await desk.session.load_model()
    first = begin(desk, desk.place("x = ║", uri="file:///a.py"))
    await computing(held)
    second = begin(desk, desk.place("y = ║", uri="file:///b.py"))
    await asyncio.sleep(0.01)
    await desk.session.load_model()
    held.go_on()
    assert (await first).texts == ("value",)
    assert (await second).texts == ("other",)


async def test_text_is_shown_as_it_grows() -> None:
    shown: list[str] = []
    desk = await Desk.with_engine(ScriptedEngine("value"))
    outcome = await answer(desk.session, desk.place("x = ║"), shown.append)
    await asyncio.sleep(0)
    assert shown == ["value"[:length] for length in range(1, 6)]
    assert outcome.texts == ("value",)


async def test_nothing_more_is_shown_once_nobody_waits(held: HeldEngine) -> None:
    """Not even text that is on its way already from the model's thread."""
    shown: list[str] = []
    desk = await Desk.with_engine(held)
    request = begin(desk, desk.place("x = ║"), on_text=shown.append)
    held.go_on(2)
    await until(lambda: shown == ["v", "va"])
    held.go_on(1)
    while held.waits < 4:  # this is the event loop, so nothing is shown meanwhile
        time.sleep(0.001)
    desk.session.forget(URI)
    held.go_on()
    assert (await request).superseded
    assert shown == ["v", "va"]


# --- Judge


@pytest.mark.parametrize(
    "change",
    [lambda desk: desk.editor.show("x = 1"), lambda desk: desk.editor.shut()],
    ids=["edited", "closed"],
)
async def test_a_text_that_changed_meanwhile_is_not_completed(
    held: HeldEngine, change: Callable[[Desk], None]
) -> None:
    desk = await Desk.with_engine(held)
    request = begin(desk, desk.place("x = ║"))
    await computing(held)
    change(desk)
    held.go_on()
    outcome = await request
    assert (outcome.texts, outcome.reason, outcome.superseded) == ((), CHANGED.reason, True)
    assert outcome.cost.generated_tokens == len("value")


# --- Cancelled, failed, counted


async def test_a_cancelled_request_stops_the_engine_and_counts_its_cost(held: HeldEngine) -> None:
    desk = await Desk.with_engine(held)
    request = asyncio.create_task(respond(desk.session, desk.place("x = ║")))
    held.go_on(2)
    await until(lambda: held.said == "va")
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    held.go_on()
    tokens = desk.session.statistics.tokens
    await until(lambda: tokens["generated"])
    assert held.said == "va"
    assert (tokens["generated"], tokens["prefilled"], tokens["prompt"]) == (2, 4, 4)
    assert tokens["wasted"] == 6
    counted = desk.session.statistics.requests
    assert (counted["requests"], counted["superseded"], counted["dropped"]) == (1, 1, 0)


async def test_the_wait_for_a_cancelled_request_to_end_is_counted(held: HeldEngine) -> None:
    """The model's thread is free at the next token only, whoever has the turn."""
    desk = await Desk.with_engine(held)
    first = begin(desk, desk.place("x = ║", uri="file:///a.py"))
    await computing(held)
    first.cancel()
    second = begin(desk, desk.place("x = ║", uri="file:///b.py"))
    await asyncio.sleep(0.05)
    held.go_on()
    assert (await second).cost.queue_ms >= 40
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_request_cancelled_while_it_waits_for_its_turn_computes_nothing(
    held: HeldEngine,
) -> None:
    desk = await Desk.with_engine(held)
    first = begin(desk, desk.place("x = ║", uri="file:///a.py"))
    await computing(held)
    second = begin(desk, desk.place("x = ║", uri="file:///b.py"))
    await asyncio.sleep(0.01)
    second.cancel()
    held.go_on()
    with pytest.raises(asyncio.CancelledError):
        await second
    assert (await first).texts == ("value",)
    third = await answer(desk.session, desk.place("y = ║", uri="file:///c.py"))
    assert third.texts == ("value",)
    assert len(held.contexts) == 2


class BrokenEngine(Engine):
    """Fails whenever it is asked."""

    def generate(
        self,
        context: CompletionContext,
        limits: Limits,
        on_piece: Callable[[Piece], bool],
        stop: Stop,
    ) -> Cost:
        raise EngineError("the GPU ran out of memory")


async def test_a_failure_of_the_engine_is_told_once_and_is_the_reason() -> None:
    desk = await Desk.with_engine(BrokenEngine())
    outcome = await respond(desk.session, desk.place("x = ║"))
    assert outcome == Outcome(reason="the GPU ran out of memory")
    (told,) = desk.editor.told("window/showMessage")
    assert told == {"type": 1, "message": "santa-lsp: the GPU ran out of memory"}
    assert desk.session.why == "the GPU ran out of memory"
    assert desk.session.statistics.requests["dropped"] == 1


async def test_every_request_is_counted_once_by_what_became_of_it() -> None:
    desk = await Desk.with_engine(ScriptedEngine("value"))
    for text in ("x = ║", "x = v║", "retu║rn"):
        await respond(desk.session, desk.place(text))
    statistics = desk.session.statistics
    assert statistics.requests == {"requests": 3, "dropped": 1, "superseded": 0}
    assert statistics.answered == {"model": 1, "typedThrough": 1, "prefetched": 0}
    assert "inside a word" in desk.session.why
    assert statistics.last is not None
    assert statistics.last.source == "none"


async def test_what_follows_a_completion_that_is_nearly_typed_is_prefetched() -> None:
    engine = ScriptedEngine("value")
    desk = await Desk.with_engine(engine)
    await respond(desk.session, desk.place("x = ║"))
    await respond(desk.session, desk.place("x = v║"))
    await until(lambda: len(engine.contexts) == 3)
    assert [context.prefix for context in engine.contexts[1:]] == ["x = value", "x = value\n"]
    outcome = await respond(desk.session, desk.place("x = value\n║"))
    assert outcome.source == "prefetched"
