"""The model that is served: loaded, set up, replaced; and the thread that computes for requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from santa_lsp.completion.cache import CompletionCache
from santa_lsp.completion.completer import Completer
from santa_lsp.completion.engine import CacheCounts, Engine, EngineError
from santa_lsp.models import ModelError
from santa_lsp.settings import Settings

State = Literal["loading", "ready", "failed"]
LoadEngine = Callable[[Settings], Engine]


class ServedModel:
    """To be used on the event loop. `completer` is None until a first load has ended well."""

    def __init__(self, load_engine: LoadEngine) -> None:
        """`load_engine` is called on a thread; it raises ModelError or EngineError."""
        self._load_engine = load_engine
        self._cache = CompletionCache()
        self.engine: Engine | None = None
        self.completer: Completer | None = None
        #: Computes for requests, one at a time, in the order of `turn`.
        self.executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
        self.turn = asyncio.Lock()
        self.loaded = asyncio.Event()  # a first load has ended, well or badly
        self.state: State = "loading"
        self.failure = ""
        self.notice = ""

    async def load(self, settings: Settings) -> None:
        """Load the settings' model; on failure `state` is "failed" and `failure` says why.

        A model that served before goes on serving until the new one is loaded, and stays if the new
        one cannot be.
        """
        self.state, self.failure, self.notice = "loading", "", ""
        before = self.engine
        try:
            self.engine = await asyncio.to_thread(self._load_engine, settings)
        except (ModelError, EngineError) as error:
            self.failure = str(error)
            self.state = "ready" if before else "failed"
        else:
            self.notice = self.engine.notice
            self.state = "ready"
            self.configure(settings)
            if before is not None:
                # Behind what is being computed with it for a request.
                self.executor.submit(before.close)
        finally:
            self.loaded.set()

    def configure(self, settings: Settings) -> None:
        """Use settings that need no other model from the next request on."""
        if self.engine is not None:
            self._cache.clear()
            self.completer = Completer(self.engine, settings, self._cache)

    def cache_counts(self) -> CacheCounts:
        """What the model keeps for reuse."""
        return self.engine.cache_counts if self.engine else CacheCounts()
