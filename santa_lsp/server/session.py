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
    """A completion that the user sees, and its context."""

    context: CompletionContext
    texts: tuple[str, ...]


class Session:
    """For the event loop alone. `client` talks back; `server` holds the open documents."""

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
        self.why = "the editor has not requested a completion yet"
        self.accepted = 0
        self.latency_ms = 0.0  # of the model's last answer
        self.expected_ms = 0.0  # of an answer of the model, without the debounce

    def accept(self, uri: str | None, candidate: int) -> None:
        """Count a completion that the user took, and prefetch the next.

        `uri` None means the document that showed a completion last.
        """
        self.accepted += 1
        uri = next(reversed(self.shown), None) if uri is None else uri
        shown = self.shown.pop(uri, None) if uri is not None else None
        if shown is not None and 0 <= candidate < len(shown.texts):
            self.prefetcher.expect(following(shown.context, shown.texts[candidate]))
        self.send_status()

    def forget(self, uri: str) -> None:
        """Stop the request of a document that was closed."""
        self.shown.pop(uri, None)
        if (running := self.running.pop(uri, None)) is not None:
            running.set()

    def send_status(self) -> None:
        """`santa/status`, to a client that wants it."""
        self.client.send_status(self.status())

    def status(self) -> dict[str, Any]:
        """The params of `santa/status`."""
        return {
            "state": self.model.state,
            "model": self.settings.model,
            "device": self.settings.device,
            "latencyMs": round(self.latency_ms, 1),
            "accepted": self.accepted,
            "languages": self.model.languages(self.settings),
            "failure": self.model.failure,
        }

    async def load_model(self) -> None:
        """Load the settings' model, with a progress bar in the editor."""
        self.model.state = "loading"
        self.send_status()
        async with self.client.progress(f"Loading {self.settings.model}"):
            await self.model.load(self.settings)
        if self.model.failure:
            self.client.fail(self.model.failure)
        else:
            self.model.configure(self.settings)  # they may have changed while it loaded
        if self.model.notice:
            self.client.warn(self.model.notice)
        self.send_status()
        self.prefetcher.calibrate(self.settings)

    async def use_options(self, options: object) -> None:
        """Use the editor's options; load another model if they name one."""
        found, problems = settings.parse(options, self.base)
        for problem in problems:
            self.client.warn(problem)
        await self.use_settings(found)

    async def use_settings(self, found: Settings) -> None:
        """Serve with these settings, or with those before if their model cannot be loaded."""
        before, self.settings = self.settings, found
        logging.getLogger("santa_lsp").setLevel(LOG_LEVELS[found.log_level])
        if before.needs_reload(found):
            await self.load_model()
            if self.model.failure and self.model.state == "ready":
                self.settings = before
                self.model.failure = ""  # `load_model` has told the user
                self.send_status()
        else:
            self.model.configure(found)

    async def pull_options(self) -> None:
        """Ask the client for its `santa` section, and use it."""
        if (options := await self.client.pull_options()) is not None:
            await self.use_options(options)
