"""The threads that load the model and compute with it; asyncio on their other side."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Literal, TypeVar

from santa_lsp.completion.cache import CompletionCache
from santa_lsp.completion.completer import Completer, Completion, Superseded
from santa_lsp.completion.context import CompletionContext
from santa_lsp.completion.engine import AnchorCounts, Engine, EngineError
from santa_lsp.models import ModelError
from santa_lsp.completion.filters import Drop
from santa_lsp.settings import Settings
from santa_lsp.completion.statistics import Statistics, Work

log = logging.getLogger(__name__)

T = TypeVar("T")
State = Literal["loading", "ready", "failed"]


class ModelThread:
    """Requests wait for the model to be loaded, then for each other, in order.

    What is computed ahead of them has a thread of its own, so that they never wait for it. Every
    method but the threads' own work is called from the event loop.
    """

    def __init__(
        self,
        load_engine: Callable[[Settings], Engine],
        calibrate: Callable[[Engine, Settings, Callable[[], bool]], bool],
        statistics: Statistics,
    ) -> None:
        """See santa_lsp.engines for the two functions."""
        self._load_engine, self._calibrate_engine = load_engine, calibrate
        self._statistics = statistics
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
        self._ahead = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ahead")
        self._engine: Engine | None = None
        self._completer: Completer | None = None
        self._cache = CompletionCache()
        self._loaded = asyncio.Event()  # a first load has ended, well or badly
        self.state: State = "loading"
        self.failure = ""
        self.notice = ""

    async def load(self, settings: Settings) -> None:
        """Load the settings' model; on failure `state` is "failed" and `failure` says why.

        A model that served before goes on serving until the new one is loaded, and stays if the new
        one cannot be.
        """
        self.state, self.failure, self.notice = "loading", "", ""
        try:
            await self._run(self._load, settings)
            self.state = "ready"
        except (ModelError, EngineError) as error:
            self.failure = str(error)
            self.state = "ready" if self._engine else "failed"
        finally:
            self._loaded.set()

    def configure(self, settings: Settings) -> None:
        """Use settings that need no other model from the next request on."""
        if self._engine is not None:
            self._cache.clear()
            self._completer = Completer(self._engine, settings.completer_config(), self._cache)

    def anchor_counts(self) -> AnchorCounts:
        """What the served model keeps for reuse."""
        return self._engine.anchor_counts() if self._engine else AnchorCounts()

    def recall(self, context: CompletionContext) -> Completion | None:
        """A cached completion, without waiting for the thread."""
        return self._completer.recall(context) if self._completer else None

    def gate(self, context: CompletionContext) -> Drop | None:
        """Why the request is not worth the thread's time, if so."""
        return self._completer.gate(context) if self._completer else None

    async def complete(
        self,
        context: CompletionContext,
        stop: threading.Event,
        on_text: Callable[[str], None],
        work: Work,
    ) -> Completion | Drop:
        """See Completer.complete; `on_text` is called on the event loop, before this returns.

        When the awaiting task is cancelled, `stop` is set and the computation ends at its
        next token.
        """
        loop = asyncio.get_running_loop()

        def on_model_thread(text: str) -> None:
            loop.call_soon_threadsafe(on_text, text)

        try:
            asked = time.perf_counter()
            await self._loaded.wait()
            return await self._run(self._complete, context, stop, on_model_thread, work, asked)
        except asyncio.CancelledError:
            stop.set()
            raise

    async def prepare(self, context: CompletionContext) -> None:
        """See Completer.prepare."""
        await self._loaded.wait()
        await asyncio.get_running_loop().run_in_executor(self._ahead, self._prepare, context)

    async def prefetch(self, context: CompletionContext, stop: threading.Event) -> None:
        """Complete a context that nobody has asked for, into the cache, until `stop` is set."""
        await asyncio.get_running_loop().run_in_executor(self._ahead, self._prefetch, context, stop)

    async def calibrate(self, settings: Settings, stop: threading.Event) -> bool:
        """Measure the model if that was never done; False if it was stopped by `stop`."""
        return await asyncio.get_running_loop().run_in_executor(
            self._ahead, self._calibrate, settings, stop
        )

    async def _run(self, work: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *args)

    # On the threads.

    def _load(self, settings: Settings) -> None:
        self._engine = self._load_engine(settings)
        self.notice = self._engine.notice
        self.configure(settings)

    def _complete(
        self,
        context: CompletionContext,
        stop: threading.Event,
        on_text: Callable[[str], None],
        work: Work,
        asked: float,
    ) -> Completion | Drop:
        if stop.is_set():
            raise Superseded
        if self._completer is None:
            return Drop(self.failure or "the model is not loaded")
        work.queue_ms = 1000 * (time.perf_counter() - asked)
        try:
            return self._completer.complete(context, stop.is_set, on_text, work)
        finally:
            self._statistics.computed(work, wasted=stop.is_set())

    def _prepare(self, context: CompletionContext) -> None:
        if self._completer is not None:
            with suppress(EngineError):  # the next request meets it too, and tells
                self._statistics.computed_ahead(self._completer.prepare(context), False)

    def _prefetch(self, context: CompletionContext, stop: threading.Event) -> None:
        if self._completer is None or stop.is_set():
            return
        work = Work()
        with suppress(EngineError, Superseded):
            self._completer.complete(context, stop.is_set, work=work, ahead=True)
        self._statistics.computed_ahead(work.computed_tokens, True)

    def _calibrate(self, settings: Settings, stop: threading.Event) -> bool:
        if self._engine is None:
            return True
        try:
            return self._calibrate_engine(self._engine, settings, stop.is_set)
        except EngineError:  # a request that meets it too tells
            return True
