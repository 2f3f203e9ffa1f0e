"""The state of one client: settings, the model, each document's last request."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from santa_lsp import settings
from santa_lsp.completion.context import CompletionContext
from santa_lsp.completion.engine import Stop
from santa_lsp.completion.statistics import Statistics
from santa_lsp.protocol.loop import Server
from santa_lsp.server.client import Client
from santa_lsp.server.model import LoadEngine, ServedModel
from santa_lsp.server.prefetch import Prefetcher, following
from santa_lsp.server.typing_speed import TypingSpeed
from santa_lsp.settings import Settings

LOG_LEVELS = {
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A completion that the user sees, and where."""

    context: CompletionContext
    texts: tuple[str, ...]


class Session:
    """To be used on the event loop. `client` talks back; `server` holds the open documents."""

    def __init__(
        self,
        server: Server,
        base: Settings,
        problems: Sequence[str],
        load_engine: LoadEngine,
    ) -> None:
        self.server = server
        self.client = Client(server)
        self.base = self.settings = base
        self.problems = list(problems)
        self.statistics = Statistics()
        self.typing_speed = TypingSpeed()
        self.model = ServedModel(load_engine)
        self.prefetcher = Prefetcher(self.model, self.typing_speed, self.statistics)
        self.running: dict[str, Stop] = {}  # each document's last request
        self.shown: dict[str, Shown] = {}  # by document, the latest last
        self.why = "nothing has been asked for yet"
        self.accepted = 0
        self.latency_ms = 0.0  # of the last answer of the model
        self.expected_ms = 0.0  # what such an answer takes, without waiting for keys

    def accept(self, uri: str | None, candidate: int) -> None:
        """The user took what was shown in a document (None: where something was shown last)."""
        self.accepted += 1
        uri = next(reversed(self.shown), None) if uri is None else uri
        shown = self.shown.pop(uri, None) if uri is not None else None
        if shown is not None and 0 <= candidate < len(shown.texts):
            self.prefetcher.expect(following(shown.context, shown.texts[candidate]))
        self.send_status()

    def forget(self, uri: str) -> None:
        """The document was closed: nobody waits for its request."""
        self.shown.pop(uri, None)
        if (running := self.running.pop(uri, None)) is not None:
            running.set()

    def send_status(self) -> None:
        """`santa/status`, to a client that wants it."""
        self.client.send_status(self.status())

    def status(self) -> dict[str, Any]:
        """What `santa/status` says."""
        return {
            "state": self.model.state,
            "model": self.settings.model,
            "device": self.settings.device,
            "latencyMs": round(self.latency_ms, 1),
            "accepted": self.accepted,
            "failure": self.model.failure,
        }

    async def load_model(self) -> None:
        """Load the model of the settings, with progress in the editor."""
        self.send_status()
        async with self.client.progress(f"Loading {self.settings.model}"):
            await self.model.load(self.settings)
        if self.model.failure:
            self.client.fail(self.model.failure)
        if self.model.notice:
            self.client.warn(self.model.notice)
        self.send_status()
        self.prefetcher.calibrate(self.settings)

    async def use_options(self, options: object) -> None:
        """Take over editor options; reload the model when they ask for another."""
        found, problems = settings.parse(options, self.base)
        for problem in problems:
            self.client.warn(problem)
        await self.use_settings(found)

    async def use_settings(self, found: Settings) -> None:
        """Serve with these settings; where their model cannot be loaded, with those before."""
        before, self.settings = self.settings, found
        logging.getLogger("santa_lsp").setLevel(LOG_LEVELS[found.log_level])
        if before.needs_reload(found):
            await self.load_model()
            if self.model.failure and self.model.state == "ready":
                self.settings = before
                self.model.failure = ""  # the user has been told
                self.send_status()
        else:
            self.model.configure(found)

    async def pull_options(self) -> None:
        """Take over the `santa` section of a client that can be asked for it."""
        if (options := await self.client.pull_options()) is not None:
            await self.use_options(options)
