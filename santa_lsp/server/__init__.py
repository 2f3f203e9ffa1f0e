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

from santa_lsp import settings
from santa_lsp.server.prefetch import NEARLY_TYPED
from santa_lsp.completion.completer import Completion, Superseded
from santa_lsp.document import Document
from santa_lsp.completion.engine import EngineError
from santa_lsp.completion.filters import Drop
from santa_lsp.protocol.messages import InlineCompletionParams
from santa_lsp.protocol.wire import Wire
from santa_lsp.server.fallback import as_inline, as_list
from santa_lsp.server.snapshot import Place, end_of_change, place_of
from santa_lsp.server.session import LOG_LEVELS, SantaServer
from santa_lsp.settings import Settings
from santa_lsp.completion.statistics import Work

log = logging.getLogger(__name__)


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

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def did_change(params: types.DidChangeTextDocumentParams) -> None:
        """The text has its new state already: this is for the rhythm, and for what comes next."""
        server.rhythm.key(time.monotonic())
        if params.content_changes:
            position = end_of_change(params.content_changes[-1])
            if position is not None:
                server.rest(params.text_document.uri, position)

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
        place = place_of(document, params, server.encoding)  # before the first await
        stop = server.supersede(document.uri)
        server.rest(document.uri, params.position)
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
        server.statistics.used(result.unused_tokens)
        if result.source == "model":
            server.answered(work, started)
        server.why = f"it showed {len(result.text)} characters"
        nearly_typed = result.source != "model" and len(result.text) <= NEARLY_TYPED
        texts = [result.text, *result.others]
        server.show(place.context, texts, nearly_typed)
        return types.InlineCompletionList(
            [place.item(text, document, number) for number, text in enumerate(texts)]
        )

    @server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions())
    async def completion(params: types.CompletionParams) -> types.CompletionList | None:
        """The same in the ordinary list; offered to clients without inline completion."""
        document = server.document(params.text_document.uri)
        if document is None or not server.settings.fallback_completion:
            return None
        before = place_of(document, as_inline(params), server.encoding).context.line_prefix
        return as_list(await inline_completion(as_inline(params)), before)

    @server.command("santa.accepted")
    def accepted(*arguments: Any) -> None:
        """The user took a completion: counted here, and nowhere else; the next is computed now."""
        uri, candidate = arguments if len(arguments) == 2 else (None, 0)
        known = isinstance(uri, str) and isinstance(candidate, int)
        server.accept(uri if known else None, candidate if known else 0)

    @server.feature("santa/cursor")
    def cursor(params: Any) -> None:
        """Our extension: the cursor has moved without an edit (a TextDocumentPositionParams)."""
        found = params.position
        server.rest(params.textDocument.uri, types.Position(found.line, found.character))

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
    place: Place,
    stop: threading.Event,
    token: types.ProgressToken | None,
    work: Work,
) -> Completion | Drop:
    """Recall, gate, debounce, then the model. Raises Superseded and EngineError."""
    context = place.context
    await server.ahead.arrival(context)
    if stop.is_set():
        raise Superseded
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
            item = place.item(text, document)
            server.protocol.notify(
                types.PROGRESS, types.ProgressParams(token, types.InlineCompletionList([item]))
            )

    server.ahead.give_way()
    return await server.model.complete(context, stop, show, work)


def serve(base: Settings, problems: list[str], wire: Wire) -> NoReturn:
    """Serve one client until it leaves."""
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("santa_lsp").setLevel(LOG_LEVELS[base.log_level])
    build_server(base, problems).serve(wire)
