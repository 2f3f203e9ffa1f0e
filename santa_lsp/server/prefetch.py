"""Prefetching: cache the prefix where the cursor stays, complete likely next texts.

Prefetching runs beside the requests that the user waits for, never before them, and stops at its
next token when a request comes.
"""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from santa_lsp.completion.context import CompletionContext
from santa_lsp.completion.engine import EngineError, Stop
from santa_lsp.completion.statistics import Statistics
from santa_lsp.engines import calibrate
from santa_lsp.languages import opens_block
from santa_lsp.server.model import ServedModel
from santa_lsp.server.typing_speed import TypingSpeed
from santa_lsp.settings import Settings

#: Prefetch the completion after this one once at most so many of its characters are left to type.
NEARLY_TYPED = 12
#: Seconds without a key or a request before a model is measured.
IDLE = 3.0
_INDENT = re.compile(r"^([ \t]+)\S", re.MULTILINE)

T = TypeVar("T")
Key = tuple[str, str, str]
Look = Callable[[], CompletionContext | None]


def following(context: CompletionContext, text: str) -> list[CompletionContext]:
    """The contexts after `text` has been inserted and, at a line's end, after Enter."""
    typed = dataclasses.replace(context, prefix=context.prefix + text, trigger="automatic")
    if typed.line_suffix.strip() or not typed.line_prefix.strip():
        return [typed]
    line = typed.line_prefix
    indent = line[: len(line) - len(line.lstrip())]
    if opens_block(context.language, line):
        found = _INDENT.search(context.prefix)
        indent += found[1] if found else "    "
    return [typed, dataclasses.replace(typed, prefix=f"{typed.prefix}\n{indent}")]


class Prefetcher:
    """Prefetches on a thread of its own. For the event loop alone."""

    def __init__(
        self, model: ServedModel, typing_speed: TypingSpeed, statistics: Statistics
    ) -> None:
        self._model, self._typing_speed, self._statistics = model, typing_speed, statistics
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prefetch")
        self._waiting_for_pause: asyncio.Task[None] | None = None
        self._expecting: asyncio.Task[None] | None = None
        self._calibrating: asyncio.Task[None] | None = None
        self._stop = Stop()
        self._pause_calibration = Stop()
        self._expected: set[Key] = set()  # of the last call of `expect`
        self._begun: dict[Key, asyncio.Future[None]] = {}  # those of them that are being computed
        self._busy: asyncio.Future[Any] | None = None  # the thread's present task

    def cursor_moved(self, look: Look) -> None:
        """Cache the prefix at the cursor if it stays there for longer than a key takes.

        `look` is called then, and gives the text around the cursor.
        """
        self._pause_calibration.set()
        if self._waiting_for_pause is not None:
            self._waiting_for_pause.cancel()
        self._waiting_for_pause = asyncio.create_task(self._prepare_after_pause(look))

    def expect(self, contexts: list[CompletionContext]) -> None:
        """Complete these now, in this order: requests for them are likely."""
        keys = {_key(context) for context in contexts}
        if keys <= self._expected:
            return
        self.give_way()
        self._stop, self._expected = Stop(), keys
        loop = asyncio.get_running_loop()
        self._begun = {} if self._is_busy() else {_key(contexts[0]): loop.create_future()}
        self._expecting = loop.create_task(self._complete_all(contexts, self._begun, self._stop))

    def calibrate(self, settings: Settings) -> None:
        """Measure the loaded model while the user does not type, unless it was measured before."""
        if self._calibrating is not None:
            self._calibrating.cancel()
        self._calibrating = asyncio.create_task(self._calibrate(settings))

    async def arrival(self, context: CompletionContext) -> None:
        """Wait for the prefetch of exactly this context; return at once if there is none."""
        if self._begun and (future := self._begun.get(_key(context))) is not None:
            await asyncio.shield(future)

    def give_way(self) -> None:
        """Stop at the next token: the user waits for another request."""
        self._stop.set()
        self._pause_calibration.set()
        for future in self._begun.values():
            if not future.done():
                future.set_result(None)
        self._begun, self._expected = {}, set()

    def _is_busy(self) -> bool:
        return self._busy is not None and not self._busy.done()

    async def _in_turn(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run one task after the other. A task that is cancelled while it waits does not begin.

        So only the newest tasks wait, and none pile up behind a long prefill.
        """
        while self._busy is not None and not self._busy.done():
            await asyncio.wait({self._busy})
        task = asyncio.ensure_future(work())
        self._busy = task
        return await asyncio.shield(task)  # once begun, it ends, also when its caller is cancelled

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)

    async def _prepare_after_pause(self, look: Look) -> None:
        await asyncio.sleep(self._typing_speed.pause())
        await self._in_turn(partial(self._prepare, look))

    async def _prepare(self, look: Look) -> None:
        await self._model.loaded.wait()
        if (completer := self._model.completer) is None or (context := look()) is None:
            return
        with suppress(EngineError):  # the next request meets and reports it
            computed = await self._run(completer.prepare, context, Stop())
            self._statistics.tokens["prefetched"] += computed

    async def _complete_all(
        self,
        contexts: list[CompletionContext],
        begun: dict[Key, asyncio.Future[None]],
        stop: Stop,
    ) -> None:
        for context in contexts:
            await self._in_turn(partial(self._complete, context, begun, stop))

    async def _complete(
        self, context: CompletionContext, begun: dict[Key, asyncio.Future[None]], stop: Stop
    ) -> None:
        if stop.is_set():
            return
        future = begun.setdefault(_key(context), asyncio.get_running_loop().create_future())
        try:
            if (completer := self._model.completer) is not None:
                with suppress(EngineError):  # the next request meets and reports it
                    cost = await self._run(completer.prefetch, context, stop)
                    computed = cost.prefilled_tokens + cost.generated_tokens
                    self._statistics.tokens["prefetched"] += computed
        finally:
            # A request may be waiting for this, also when it failed.
            begun.pop(_key(context), None)
            if not future.done():
                future.set_result(None)

    async def _calibrate(self, settings: Settings) -> None:
        while True:
            self._pause_calibration = stop = Stop()
            await asyncio.sleep(IDLE)
            if not stop.is_set() and await self._in_turn(partial(self._measure, settings, stop)):
                return

    async def _measure(self, settings: Settings, stop: Stop) -> bool:
        if (engine := self._model.engine) is None:
            return True
        try:
            return await self._run(calibrate, engine, settings, stop)
        except EngineError:  # the next request meets and reports it
            return True


def _key(context: CompletionContext) -> Key:
    return context.uri, context.prefix, context.suffix
