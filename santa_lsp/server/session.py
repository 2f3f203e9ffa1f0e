"""What the handlers of one client share: settings, the model, each document's last request."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import threading
import time

from lsprotocol import types

from santa_lsp import __version__, settings
from santa_lsp.server.prefetch import Ahead, following
from santa_lsp.completion.context import CompletionContext
from santa_lsp.engines import calibrate, load_engine
from santa_lsp.server.worker import ModelThread
from santa_lsp.server.greeting import EXPERIMENTAL
from santa_lsp.protocol.server import HardenedServer
from santa_lsp.server.typing_speed import Rhythm
from santa_lsp.server.snapshot import context_at
from santa_lsp.settings import Settings
from santa_lsp.completion.statistics import Statistics, Work

log = logging.getLogger(__name__)

LOG_LEVELS = {
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}


@dataclasses.dataclass(frozen=True, slots=True)
class Shown:
    """A completion that the user sees, and where."""

    context: CompletionContext
    texts: tuple[str, ...]


class SantaServer(HardenedServer):
    """See the module."""

    def __init__(self, base: Settings, problems: list[str]) -> None:
        super().__init__(
            "santa-lsp",
            __version__,
            notebook_document_sync=types.NotebookDocumentSyncOptions(
                notebook_selector=[
                    types.NotebookDocumentFilterWithNotebook(
                        notebook="*", cells=[types.NotebookCellLanguage(language="python")]
                    )
                ]
            ),
        )
        self.protocol.experimental = EXPERIMENTAL
        self.base = base
        self.settings = base
        self.problems = list(problems)
        self.statistics = Statistics()
        self.model = ModelThread(load_engine, calibrate, self.statistics)
        self.why = "nothing has been asked for yet"
        self.accepted = 0
        self.latency_ms = 0.0
        self.rhythm = Rhythm()
        self.ahead = Ahead(self.model, self.rhythm)
        self._shown: dict[str, Shown] = {}
        self._last: dict[str, threading.Event] = {}
        self._expected_ms = 0.0  # what an answer of the model takes, without waiting for keys

    def supersede(self, uri: str) -> threading.Event:
        """The stop signal of a new request for a document; the one before it is set."""
        if (previous := self._last.get(uri)) is not None:
            previous.set()
        stop = self._last[uri] = threading.Event()
        return stop

    def forget(self, uri: str) -> None:
        """The document was closed: nobody waits for its request."""
        self._shown.pop(uri, None)
        if (previous := self._last.pop(uri, None)) is not None:
            previous.set()

    def debounce_seconds(self) -> float:
        """As set, or from how the user types and how fast the model is."""
        if isinstance(self.settings.debounce_ms, int):
            return self.settings.debounce_ms / 1000
        return self.rhythm.debounce(self._expected_ms / 1000, time.monotonic())

    def answered(self, work: Work, started: float) -> None:
        """The model has answered a request that came at `started` (of time.perf_counter)."""
        took = work.queue_ms + work.prefill_ms + work.decode_ms
        self._expected_ms = (self._expected_ms + took) / 2 if self._expected_ms else took
        self.latency_ms = (time.perf_counter() - started) * 1000
        self.send_status()

    def rest(self, uri: str, position: types.Position) -> None:
        """The cursor is there, as far as one can know."""

        def look() -> CompletionContext | None:
            document = self.document(uri)
            return context_at(document, position, self.encoding) if document else None

        self.ahead.rest(look)

    def show(self, context: CompletionContext, texts: list[str], nearly_typed: bool) -> None:
        """Remember what the user sees; what comes after it is computed when it is nearly typed."""
        self._shown.pop(context.uri, None)  # the latest goes last
        self._shown[context.uri] = Shown(context, tuple(texts))
        if nearly_typed:
            self.ahead.expect(following(context, texts[0]))

    def accept(self, uri: str | None, candidate: int) -> None:
        """The user took what was shown in a document (None: where something was shown last)."""
        self.accepted += 1
        uri = next(reversed(self._shown), None) if uri is None else uri
        shown = self._shown.pop(uri, None) if uri is not None else None
        if shown is not None and 0 <= candidate < len(shown.texts):
            self.ahead.expect(following(shown.context, shown.texts[candidate]))
        self.send_status()

    def say(self, kind: types.MessageType, message: str) -> None:
        """Tell the user, once, in the editor and in the log."""
        log.log(
            logging.ERROR if kind == types.MessageType.Error else logging.WARNING, "%s", message
        )
        self.window_show_message(types.ShowMessageParams(kind, message))

    def send_status(self) -> None:
        """`santa/status`, to clients that say `experimental.santa.status`."""
        wanted = self.client_capabilities.experimental
        if isinstance(wanted, dict) and (wanted.get("santa") or {}).get("status"):
            self.protocol.notify(
                "santa/status",
                {
                    "state": self.model.state,
                    "model": self.settings.model,
                    "device": self.settings.device,
                    "latencyMs": round(self.latency_ms, 1),
                    "accepted": self.accepted,
                    "failure": self.model.failure,
                },
            )

    async def load_model(self) -> None:
        """Load the model of the settings, with progress in the editor."""
        self.send_status()
        token = await self._begin_progress(f"Loading {self.settings.model}")
        await self.model.load(self.settings)
        if token is not None:
            self.work_done_progress.end(token, types.WorkDoneProgressEnd())
        if self.model.failure:
            self.say(types.MessageType.Error, f"santa-lsp: {self.model.failure}")
        if self.model.notice:
            self.say(types.MessageType.Warning, f"santa-lsp: {self.model.notice}")
        self.send_status()
        self.ahead.calibrate(self.settings)

    async def _begin_progress(self, title: str) -> str | None:
        window = self.client_capabilities.window
        if window is None or not window.work_done_progress:
            return None
        token = f"santa-load-{time.monotonic_ns()}"
        try:
            await asyncio.wait_for(self.work_done_progress.create_async(token), timeout=5)
        except Exception:  # the client refused or never answered: loading goes on without progress
            return None
        self.work_done_progress.begin(token, types.WorkDoneProgressBegin(title, cancellable=False))
        return token

    async def use_options(self, options: object) -> None:
        """Take over editor options; reload the model when they ask for another."""
        found, problems = settings.parse(options, self.base)
        for problem in problems:
            self.say(types.MessageType.Warning, f"santa-lsp: {problem}")
        await self.use_settings(found)

    async def use_settings(self, found: Settings) -> None:
        before, self.settings = self.settings, found
        logging.getLogger("santa_lsp").setLevel(LOG_LEVELS[found.log_level])
        if before.needs_reload(found):
            await self.load_model()
            if self.model.failure and self.model.state == "ready":
                self.settings = before  # what was served before is served on
                self.model.failure = ""  # the user has been told
                self.send_status()
        else:
            self.model.configure(found)

    async def pull_options(self) -> None:
        """Ask a client that can be asked for its `santa` section."""
        workspace = self.client_capabilities.workspace
        if workspace is None or not workspace.configuration:
            return
        items = [types.ConfigurationItem(section="santa")]
        answer = await self.workspace_configuration_async(types.ConfigurationParams(items))
        if answer and answer[0] is not None:
            await self.use_options(answer[0])
