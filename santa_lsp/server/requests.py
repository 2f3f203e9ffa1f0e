"""One completion request, from the snapshot of its text to its outcome."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable

from santa_lsp.completion.completer import Completer, Outcome
from santa_lsp.completion.context import CompletionContext
from santa_lsp.completion.engine import EngineError, Stop
from santa_lsp.server.prefetch import NEARLY_TYPED, following
from santa_lsp.server.session import Session, Shown
from santa_lsp.server.snapshot import Snapshot

SUPERSEDED = Outcome(reason="a newer request superseded it", superseded=True)
CHANGED = Outcome(reason="the text changed while the completion was computed", superseded=True)


async def respond(
    session: Session, snapshot: Snapshot, on_text: Callable[[str], None] | None = None
) -> Outcome:
    """Call `answer`, tell the user of a failure, and count the outcome, cancelled or not."""
    started = time.perf_counter()
    outcome = SUPERSEDED
    try:
        outcome = await answer(session, snapshot, on_text)
    except EngineError as error:
        outcome = Outcome(reason=str(error))
        session.client.fail(str(error))
    finally:
        _record(session, snapshot, outcome, started)
    return outcome


async def answer(
    session: Session, snapshot: Snapshot, on_text: Callable[[str], None] | None = None
) -> Outcome:
    """The policy of a request: supersede, recall, gate, wait, complete, judge.

    `on_text` gets the text that can be shown already, longer each time; the outcome starts with the
    last of them. Raises EngineError, and CancelledError when the client cancels.
    """
    context, model, prefetcher = snapshot.context, session.model, session.prefetcher

    # The newest request of a document stops the one before it.
    if (running := session.running.get(context.uri)) is not None:
        running.set()
    stop = session.running[context.uri] = Stop()

    await model.loaded.wait()
    if (completer := model.completer) is None:
        return Outcome(reason=model.failure or "the model is not loaded")

    # A prefetch for this very text may be under way: its answer comes sooner than a new one.
    await prefetcher.arrival(context)
    if stop.is_set():
        return SUPERSEDED
    if (recalled := completer.recall(context)) is not None:
        return recalled
    if (refused := completer.gate(context)) is not None:
        return refused

    # The next key would supersede this request: wait for that key if it comes before the answer.
    debounce = _debounce(session) if context.trigger == "automatic" else 0.0
    await asyncio.sleep(debounce)
    if stop.is_set():
        return SUPERSEDED

    prefetcher.give_way()
    queued = time.perf_counter()
    async with model.turn:
        if stop.is_set():
            return SUPERSEDED
        completer = model.completer or completer  # another model may have been loaded meanwhile
        # The request before this one may have computed the completion of this text.
        if (recalled := completer.recall(context)) is not None:
            return recalled
        outcome, begun = await _compute(session, completer, context, stop, on_text)
    waited = 1000 * (begun - queued)
    cost = dataclasses.replace(outcome.cost, debounce_ms=1000 * debounce, queue_ms=waited)

    # The text may have changed since, also without another request.
    document = session.server.document(context.uri)
    if stop.is_set() or document is None or document.version != context.version:
        return dataclasses.replace(CHANGED, cost=cost)
    return dataclasses.replace(outcome, cost=cost)


def _debounce(session: Session) -> float:
    """Seconds to wait for the next key: the setting, or from typing speed and request cost."""
    if isinstance(session.settings.debounce_ms, int):
        return session.settings.debounce_ms / 1000
    return session.typing_speed.debounce(session.expected_ms / 1000, time.monotonic())


async def _compute(
    session: Session,
    completer: Completer,
    context: CompletionContext,
    stop: Stop,
    on_text: Callable[[str], None] | None,
) -> tuple[Outcome, float]:
    """Complete on the model's thread, and say when that began (of time.perf_counter).

    A cancelled request stops at its next token; until then the thread is not free.
    """
    loop = asyncio.get_running_loop()

    def show(text: str) -> None:
        if on_text is not None and not stop.is_set():
            on_text(text)

    def on_model_thread(text: str) -> None:
        loop.call_soon_threadsafe(show, text)

    def compute() -> tuple[Outcome, float]:
        begun = time.perf_counter()
        return completer.complete(context, stop, on_model_thread), begun

    def count(done: asyncio.Future[tuple[Outcome, float]]) -> None:
        """Count the tokens, also those of a cancelled request."""
        if done.cancelled() or done.exception() is not None:
            return
        cost, tokens = done.result()[0].cost, session.statistics.tokens
        tokens["prompt"] += cost.prefilled_tokens + cost.reused_tokens
        tokens["prefilled"] += cost.prefilled_tokens
        tokens["reused"] += cost.reused_tokens
        tokens["generated"] += cost.generated_tokens
        if stop.is_set():
            tokens["wasted"] += cost.prefilled_tokens + cost.generated_tokens

    computing = loop.run_in_executor(session.model.executor, compute)
    computing.add_done_callback(count)
    try:
        return await asyncio.shield(computing)
    except asyncio.CancelledError:
        stop.set()
        raise


def _record(session: Session, snapshot: Snapshot, outcome: Outcome, started: float) -> None:
    """Count the outcome, remember the shown texts, and prefetch the next completion."""
    context, statistics = snapshot.context, session.statistics
    statistics.requests["requests"] += 1
    session.why = outcome.reason or f"it showed {len(outcome.texts[0])} characters"
    if outcome.superseded:
        statistics.requests["superseded"] += 1
        return
    statistics.last = outcome
    if not outcome.texts:
        statistics.requests["dropped"] += 1
        return
    statistics.answered[outcome.source] += 1
    if outcome.source == "model":
        cost = outcome.cost
        took = cost.queue_ms + cost.prefill_ms + cost.decode_ms
        session.expected_ms = (session.expected_ms + took) / 2 if session.expected_ms else took
        session.latency_ms = (time.perf_counter() - started) * 1000
        if session.client.wants_status:
            session.send_status()
    session.shown.pop(context.uri, None)  # the latest goes last
    session.shown[context.uri] = Shown(context, outcome.texts)
    if outcome.source != "model" and len(outcome.texts[0]) <= NEARLY_TYPED:
        session.prefetcher.expect(following(context, outcome.texts[0]))
