"""Work before anybody asks: anchors where the cursor rests, the completions likely to come next.

All of it gives way: it runs beside the requests that somebody waits for, never before them, and
ends at its next token when one comes.
"""

from __future__ import annotations

import asyncio
import dataclasses
import re
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from santa_lsp.completion.context import CompletionContext
from santa_lsp.server.worker import ModelThread
from santa_lsp.server.typing_speed import Rhythm
from santa_lsp.settings import Settings

#: What follows a completion is computed when no more characters of it than this are left to type.
NEARLY_TYPED = 12
#: Seconds without a request after which a model may be measured.
IDLE = 3.0
_OPENS_BLOCK = re.compile(r"[:{(\[]\s*$")
_INDENT = re.compile(r"^([ \t]+)\S", re.MULTILINE)


def following(context: CompletionContext, text: str) -> list[CompletionContext]:
    """Where the cursor will be when `text` has been inserted, and, at a line's end, after Enter."""
    typed = dataclasses.replace(context, prefix=context.prefix + text, trigger="automatic")
    if typed.line_suffix.strip() or not typed.line_prefix.strip():
        return [typed]
    line = typed.line_prefix
    indent = line[: len(line) - len(line.lstrip())]
    if _OPENS_BLOCK.search(line):
        found = _INDENT.search(context.prefix)
        indent += found[1] if found else "    "
    return [typed, dataclasses.replace(typed, prefix=f"{typed.prefix}\n{indent}")]


T = TypeVar("T")
Key = tuple[str, str, str]
Begun = dict[Key, asyncio.Future[None]]


class Ahead:
    """What is being computed ahead of the user. To be used on the event loop."""

    def __init__(self, model: ModelThread, rhythm: Rhythm) -> None:
        self._model, self._rhythm = model, rhythm
        self._resting: asyncio.Task[None] | None = None
        self._expecting: asyncio.Task[None] | None = None
        self._calibrating: asyncio.Task[None] | None = None
        self._stop = threading.Event()
        self._pause = threading.Event()  # of the measurement
        self._wanted: set[Key] = set()  # the last that were expected
        self._begun: Begun = {}  # which of them are being computed
        self._busy: asyncio.Future[Any] | None = None  # with what the thread is

    def rest(self, look: Callable[[], CompletionContext | None]) -> None:
        """The cursor is somewhere: compute an anchor there if it stays for longer than a key takes.

        `look` gives the text around it by then.
        """
        self._pause.set()
        if self._resting is not None:
            self._resting.cancel()
        self._resting = asyncio.create_task(self._rest(look))

    def expect(self, contexts: list[CompletionContext]) -> None:
        """These are likely to be asked for, in this order: compute them now."""
        keys = {_key(context) for context in contexts}
        if keys <= self._wanted:
            return
        self.give_way()
        self._stop, self._wanted = threading.Event(), keys
        loop = asyncio.get_running_loop()
        self._begun = {} if self._is_busy() else {_key(contexts[0]): loop.create_future()}
        self._expecting = loop.create_task(self._expect(contexts, self._begun, self._stop))

    def calibrate(self, settings: Settings) -> None:
        """Measure the model that has been loaded, if it never was here, once nobody types."""
        if self._calibrating is not None:
            self._calibrating.cancel()
        self._calibrating = asyncio.create_task(self._calibrate(settings))

    async def arrival(self, context: CompletionContext) -> None:
        """Return when what is being computed for exactly this context is there; at once if
        nothing is."""
        if (future := self._begun.get(_key(context))) is not None:
            await asyncio.shield(future)

    def give_way(self) -> None:
        """Somebody waits for something else: stop at the next token."""
        self._stop.set()
        self._pause.set()
        for future in self._begun.values():
            if not future.done():
                future.set_result(None)
        self._begun, self._wanted = {}, set()

    def _is_busy(self) -> bool:
        return self._busy is not None and not self._busy.done()

    async def _in_turn(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """One thing after the other; one that is cancelled while it waits is not begun.

        So what waits is what is wanted now, and nothing piles up behind a long prefill.
        """
        while self._busy is not None and not self._busy.done():
            await asyncio.wait({self._busy})
        task = asyncio.ensure_future(work())
        self._busy = task
        return await asyncio.shield(task)  # begun, it goes on whoever loses interest

    async def _calibrate(self, settings: Settings) -> None:
        while True:
            self._pause = stop = threading.Event()
            await asyncio.sleep(IDLE)
            measure = partial(self._model.calibrate, settings, stop)
            if not stop.is_set() and await self._in_turn(measure):
                return

    async def _rest(self, look: Callable[[], CompletionContext | None]) -> None:
        await asyncio.sleep(self._rhythm.pause())
        await self._in_turn(partial(self._prepare, look))

    async def _prepare(self, look: Callable[[], CompletionContext | None]) -> None:
        if (context := look()) is not None:
            await self._model.prepare(context)

    async def _expect(
        self, contexts: list[CompletionContext], begun: Begun, stop: threading.Event
    ) -> None:
        for context in contexts:
            await self._in_turn(partial(self._prefetch, context, begun, stop))

    async def _prefetch(
        self, context: CompletionContext, begun: Begun, stop: threading.Event
    ) -> None:
        if stop.is_set():
            return
        future = begun.setdefault(_key(context), asyncio.get_running_loop().create_future())
        await self._model.prefetch(context, stop)
        begun.pop(_key(context), None)
        if not future.done():
            future.set_result(None)


def _key(context: CompletionContext) -> Key:
    return context.uri, context.prefix, context.suffix
