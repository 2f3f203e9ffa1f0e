"""The LSP edge: protocol types become ours here. One handler for each method."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import sys
import threading
import time
from typing import Any, NoReturn

from lsprotocol import types

from santa_lsp import __version__, settings
from santa_lsp.completer import Completion, Superseded
from santa_lsp.context import CompletionContext
from santa_lsp.document import Document
from santa_lsp.engine import EngineError
from santa_lsp.engines import load_engine
from santa_lsp.model_thread import ModelThread
from santa_lsp.postprocess import Drop
from santa_lsp.protocol.greeting import EXPERIMENTAL
from santa_lsp.protocol.messages import InlineCompletionParams
from santa_lsp.protocol.server import HardenedServer
from santa_lsp.protocol.wire import Wire
from santa_lsp.settings import Settings
from santa_lsp.statistics import Statistics, Work

log = logging.getLogger(__name__)

#: Milliseconds that an automatic request waits at most for the next key when debounceMs is "auto".
MOST_DEBOUNCE = 150
LOG_LEVELS = {
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}


class SantaServer(HardenedServer):
    """What the handlers share: settings, the model thread, each document's last request."""

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
        self.model = ModelThread(load_engine, self.statistics)
        self.why = "nothing has been asked for yet"
        self.accepted = 0
        self.latency_ms = 0.0
        self._last: dict[str, threading.Event] = {}

    def supersede(self, uri: str) -> threading.Event:
        """The stop signal of a new request for a document; the one before it is set."""
        if (previous := self._last.get(uri)) is not None:
            previous.set()
        stop = self._last[uri] = threading.Event()
        return stop

    def forget(self, uri: str) -> None:
        """The document was closed: nobody waits for its request."""
        if (previous := self._last.pop(uri, None)) is not None:
            previous.set()

    def debounce_seconds(self) -> float:
        """As set, or half of what the last completion took: an instant model need not wait."""
        if isinstance(self.settings.debounce_ms, int):
            return self.settings.debounce_ms / 1000
        return min(MOST_DEBOUNCE, self.latency_ms / 2) / 1000

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


@dataclasses.dataclass(frozen=True, slots=True)
class _Place:
    """Where a completion goes: its context, the range it replaces, and text it must start with."""

    context: CompletionContext
    range: types.Range
    lead: str


def _place(server: SantaServer, document: Document, params: InlineCompletionParams) -> _Place:
    """The snapshot of one request. Positions outside the text are clamped, as the protocol says."""
    line, column = document.to_column(
        (params.position.line, params.position.character), server.encoding
    )
    start, lead = (line, column), ""
    if (selected := params.context.selected_completion_info) is not None:
        # The editor's own list has an item selected: complete as if it had been accepted.
        wanted = (selected.range.start.line, selected.range.start.character)
        start, lead = document.to_column(wanted, server.encoding), selected.text
    prefix, suffix = document.window(line, column)
    if lead:
        prefix = document.window(*start)[0] + lead
    automatic = params.context.trigger_kind == types.InlineCompletionTriggerKind.Automatic
    context = CompletionContext(
        language=document.language,
        path=_path(document.uri),
        prefix=prefix,
        suffix=suffix,
        uri=document.uri,
        version=document.version,
        trigger="automatic" if automatic else "invoked",
    )
    ends = [document.to_character(each, server.encoding) for each in (start, (line, column))]
    return _Place(context, types.Range(*(types.Position(*end) for end in ends)), lead)


def _path(uri: str) -> str:
    """The path part of a document's URI, for people and for globs; may be empty."""
    from urllib.parse import unquote, urlsplit

    try:
        return unquote(urlsplit(uri).path)
    except ValueError:
        return uri


def build_server(base: Settings, problems: list[str]) -> SantaServer:
    """The server with all handlers, not yet started."""
    server = SantaServer(base, problems)

    @server.feature(types.INITIALIZE)
    def initialize(params: types.InitializeParams) -> None:
        """Take the initialization options; problems are told once the client listens."""
        server.settings, found = settings.parse(params.initialization_options, server.base)
        server.base = server.settings
        server.problems += found
        logging.getLogger("santa_lsp").setLevel(LOG_LEVELS[server.settings.log_level])

    @server.feature(types.INITIALIZED)
    async def initialized(params: types.InitializedParams) -> None:
        """Load the model; the client has its answer already."""
        for problem in server.problems:
            server.say(types.MessageType.Warning, f"santa-lsp: {problem}")
        await server.load_model()
        await server.pull_options()

    @server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)
    async def did_change_configuration(params: types.DidChangeConfigurationParams) -> None:
        """Take the `santa` section that was pushed, or ask for it."""
        pushed = params.settings
        if isinstance(pushed, dict) and "santa" in pushed:
            await server.use_options(pushed["santa"])
        else:
            await server.pull_options()

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def did_close(params: types.DidCloseTextDocumentParams) -> None:
        """Stop what is computed for a document that is gone."""
        server.forget(params.text_document.uri)

    @server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
    async def inline_completion(
        params: InlineCompletionParams,
    ) -> types.InlineCompletionList | None:
        """The completion at a position, or null; `santa.why` says why."""
        document = server.document(params.text_document.uri)
        if document is None:
            server.why = "the document is not open"
            return None
        place = _place(server, document, params)  # before the first await: see _Place
        stop = server.supersede(document.uri)
        started = time.perf_counter()
        server.statistics.request()
        work = Work()
        try:
            result = await _complete(
                server, document, place, stop, params.partial_result_token, work
            )
        except (Superseded, asyncio.CancelledError) as overtaken:
            server.statistics.superseded()
            server.why = "a newer request took its place"
            if isinstance(overtaken, Superseded):
                return None
            raise
        except EngineError as error:
            server.statistics.dropped(work)
            server.why = str(error)
            server.say(types.MessageType.Error, f"santa-lsp: {error}")
            return None
        if stop.is_set() or document.version != place.context.version:
            server.statistics.superseded()
            server.why = "the text changed while the completion was computed"
            return None
        if isinstance(result, Drop):
            server.statistics.dropped(work)
            server.why = result.reason
            return None
        work.source = result.source
        server.statistics.answered(work)
        if result.source == "model":
            server.latency_ms = (time.perf_counter() - started) * 1000
            server.send_status()
        server.why = f"it showed {len(result.text)} characters"
        return types.InlineCompletionList([_item(result.text, place, document)])

    @server.command("santa.accepted")
    def accepted(*arguments: Any) -> None:
        """The user took a completion: counted here, and nowhere else."""
        server.accepted += 1
        server.send_status()

    @server.command("santa.why")
    def why() -> str:
        """Why the last request showed what it did."""
        return server.why

    @server.command("santa.statistics")
    def statistics() -> dict[str, Any]:
        """Counters since the start; see santa_lsp.statistics."""
        return server.statistics.as_dict(dataclasses.asdict(server.model.anchor_counts()))

    @server.command("santa.restart")
    async def restart() -> None:
        """Load the model again."""
        await server.load_model()

    @server.command("santa.selectModel")
    async def select_model(name: str) -> None:
        """Serve another model; documents and settings stay."""
        found, problems = settings.parse({"model": name}, server.settings)
        for problem in problems:
            server.say(types.MessageType.Warning, f"santa-lsp: {problem}")
        await server.use_settings(found)

    return server


async def _complete(
    server: SantaServer,
    document: Document,
    place: _Place,
    stop: threading.Event,
    token: types.ProgressToken | None,
    work: Work,
) -> Completion | Drop:
    """Recall, gate, debounce, then the model. Raises Superseded and EngineError."""
    context = place.context
    if (recalled := server.model.recall(context)) is not None:
        return recalled
    if (dropped := server.model.gate(context)) is not None:
        return dropped
    if context.trigger == "automatic":
        seconds = server.debounce_seconds()
        work.debounce_ms = 1000 * seconds
        await asyncio.sleep(seconds)
        if stop.is_set():
            raise Superseded

    def show(text: str) -> None:
        if token is not None and server.settings.streaming and not stop.is_set():
            item = _item(text, place, document)
            server.protocol.notify(
                types.PROGRESS, types.ProgressParams(token, types.InlineCompletionList([item]))
            )

    return await server.model.complete(context, stop, show, work)


def _item(text: str, place: _Place, document: Document) -> types.InlineCompletionItem:
    """An item that inserts `text` with the document's own line ends."""
    return types.InlineCompletionItem(
        insert_text=(place.lead + text).replace("\n", document.newline),
        range=place.range,
        command=types.Command("Completion accepted", "santa.accepted"),
    )


def serve(base: Settings, problems: list[str], wire: Wire) -> NoReturn:
    """Serve one client until it leaves."""
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("santa_lsp").setLevel(LOG_LEVELS[base.log_level])
    build_server(base, problems).serve(wire)
