"""The served model: loading and replacing it, and the thread that computes for requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from santa_lsp.completion.cache import CompletionCache
from santa_lsp.completion.completer import Completer, wanted_languages
from santa_lsp.completion.engine import CacheCounts, Engine, EngineError
from santa_lsp.models import ModelError
from santa_lsp.settings import Settings

State = Literal["loading", "ready", "failed"]
LoadEngine = Callable[[Settings], Engine]


class ServedModel:
    """For the event loop alone. `completer` is None until a first load has succeeded."""

    def __init__(self, load_engine: LoadEngine) -> None:
        """`load_engine` is called on a thread; it raises ModelError or EngineError."""
        self._load_engine = load_engine
        self._cache = CompletionCache()
        self.engine: Engine | None = None
        self.completer: Completer | None = None
        #: Computes for one request at a time, in the order of `turn`.
        self.executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
        self.turn = asyncio.Lock()
        self._loading = asyncio.Lock()  # so that the model that was asked for last stays
        self.loaded = asyncio.Event()  # a first load has succeeded or failed
        self.state: State = "loading"
        self.failure = ""
        self.notice = ""

    async def load(self, settings: Settings) -> None:
        """Load the settings' model. On failure `failure` gives the reason.

        The model before serves on until the new one is loaded, and stays if that fails; without one
        `state` is then "failed".
        """
        async with self._loading:
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
                    # After the request that it is computing for.
                    self.executor.submit(before.close)
            finally:
                self.loaded.set()

    def configure(self, settings: Settings) -> None:
        """Use other settings for the same model from the next request on."""
        if self.engine is not None:
            self._cache.clear()
            self.completer = Completer(self.engine, settings, self._cache)

    def languages(self, settings: Settings) -> list[str]:
        """LSP identifiers of the languages that are completed unasked; `*` is all."""
        wanted = wanted_languages(self.engine, settings) if self.engine else ()
        return list(wanted) or ["*"]

    def cache_counts(self) -> CacheCounts:
        """The counts of the model's prefix cache."""
        return self.engine.cache_counts if self.engine else CacheCounts()
