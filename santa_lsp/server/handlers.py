"""One short function for each LSP method and command; `FEATURES` and `COMMANDS` list them.

They translate: protocol types become ours here, and ours the protocol's.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from lsprotocol import types

from santa_lsp import __version__, settings
from santa_lsp.completion.context import CompletionContext
from santa_lsp.engines import load_engine as load_local_engine
from santa_lsp.protocol.loop import Server
from santa_lsp.protocol.messages import InlineCompletionParams
from santa_lsp.protocol.wire import Wire
from santa_lsp.server import requests, snapshot
from santa_lsp.server.fallback import as_inline, as_list
from santa_lsp.server.greeting import EXPERIMENTAL
from santa_lsp.server.model import LoadEngine
from santa_lsp.server.session import LOG_LEVELS, Session
from santa_lsp.settings import Settings


def initialize(session: Session, params: types.InitializeParams) -> None:
    """Take the initialization options; problems are told once the client listens."""
    session.settings, found = settings.parse(params.initialization_options, session.base)
    session.base = session.settings
    session.problems += found
    session.client.take_capabilities(params.capabilities)
    logging.getLogger("santa_lsp").setLevel(LOG_LEVELS[session.settings.log_level])


async def initialized(session: Session, params: types.InitializedParams) -> None:
    """Load the model; the client has its answer already."""
    for problem in session.problems:
        session.client.warn(problem)
    await session.load_model()
    await session.pull_options()


async def did_change_configuration(
    session: Session, params: types.DidChangeConfigurationParams
) -> None:
    """Take the `santa` section that was pushed, or ask for it."""
    pushed = params.settings
    if isinstance(pushed, dict) and "santa" in pushed:
        await session.use_options(pushed["santa"])
    else:
        await session.pull_options()


def did_change(session: Session, params: types.DidChangeTextDocumentParams) -> None:
    """The text has its new state already: this is for the typing speed, and for what comes next."""
    session.typing_speed.key(time.monotonic())
    if params.content_changes:
        position = snapshot.end_of_change(params.content_changes[-1])
        if position is not None:
            _cursor_moved(session, params.text_document.uri, position)


def did_close(session: Session, params: types.DidCloseTextDocumentParams) -> None:
    """Stop what is computed for a document that is gone."""
    session.forget(params.text_document.uri)


async def inline_completion(
    session: Session, params: InlineCompletionParams
) -> types.InlineCompletionList | None:
    """The completion at a position, or null; `santa.why` says why."""
    document = session.server.document(params.text_document.uri)
    if document is None:
        session.why = "the document is not open"
        return None
    taken = snapshot.take(document, params, session.server.encoding)  # before the first await
    _cursor_moved(session, document.uri, params.position)
    token, on_text = params.partial_result_token, None
    if token is not None and session.settings.streaming:

        def on_text(text: str) -> None:
            session.client.send_partial_result(token, taken.item(text))

    outcome = await requests.respond(session, taken, on_text)
    if not outcome.texts:
        return None
    items = [taken.item(text, number) for number, text in enumerate(outcome.texts)]
    return types.InlineCompletionList(items)


async def completion(
    session: Session, params: types.CompletionParams
) -> types.CompletionList | None:
    """The same in the ordinary list; offered to clients without inline completion."""
    document = session.server.document(params.text_document.uri)
    if document is None or not session.settings.fallback_completion:
        return None
    inline = as_inline(params)
    before = snapshot.take(document, inline, session.server.encoding).context.line_prefix
    return as_list(await inline_completion(session, inline), before)


def cursor(session: Session, params: Any) -> None:
    """Our extension: the cursor has moved without an edit (a TextDocumentPositionParams)."""
    found = params.position
    _cursor_moved(session, params.textDocument.uri, types.Position(found.line, found.character))


def _cursor_moved(session: Session, uri: str, position: types.Position) -> None:
    """Cache the prefix at `position` if the cursor stays there."""

    def look() -> CompletionContext | None:
        document = session.server.document(uri)
        if document is None:
            return None
        return snapshot.context_at(document, position, session.server.encoding)

    session.prefetcher.cursor_moved(look)


def accepted(session: Session, *arguments: Any) -> None:
    """The user took a completion: counted here, and nowhere else; the next is computed now."""
    uri, candidate = arguments if len(arguments) == 2 else (None, 0)
    known = isinstance(uri, str) and isinstance(candidate, int)
    session.accept(uri if known else None, candidate if known else 0)


def why(session: Session, *arguments: Any) -> str:
    """Why the last request showed what it did."""
    return session.why


def statistics(session: Session, *arguments: Any) -> dict[str, Any]:
    """Counters since the start; see santa_lsp.completion.statistics."""
    return session.statistics.as_dict(session.model.cache_counts())


async def restart(session: Session, *arguments: Any) -> None:
    """Load the model again."""
    await session.load_model()


async def select_model(session: Session, name: object = None, *arguments: Any) -> None:
    """Serve another model; documents and settings stay."""
    found, problems = settings.parse({"model": name}, session.settings)
    for problem in problems:
        session.client.warn(problem)
    await session.use_settings(found)


FEATURES: dict[str, Callable[..., Any]] = {
    types.INITIALIZE: initialize,
    types.INITIALIZED: initialized,
    types.WORKSPACE_DID_CHANGE_CONFIGURATION: did_change_configuration,
    types.TEXT_DOCUMENT_DID_CHANGE: did_change,
    types.TEXT_DOCUMENT_DID_CLOSE: did_close,
    types.TEXT_DOCUMENT_INLINE_COMPLETION: inline_completion,
    types.TEXT_DOCUMENT_COMPLETION: completion,
    "santa/cursor": cursor,
}
COMMANDS: dict[str, Callable[..., Any]] = {
    "santa.accepted": accepted,
    "santa.why": why,
    "santa.statistics": statistics,
    "santa.restart": restart,
    "santa.selectModel": select_model,
}
#: pygls offers these capabilities only together with their options.
_OPTIONS = {
    types.TEXT_DOCUMENT_INLINE_COMPLETION: types.InlineCompletionOptions(),
    types.TEXT_DOCUMENT_COMPLETION: types.CompletionOptions(),
}
_NOTEBOOKS = types.NotebookDocumentSyncOptions(
    notebook_selector=[
        types.NotebookDocumentFilterWithNotebook(
            notebook="*", cells=[types.NotebookCellLanguage(language="python")]
        )
    ]
)


def build_server(
    base: Settings,
    problems: Sequence[str] = (),
    load_engine: LoadEngine = load_local_engine,
) -> Server:
    """The server with all handlers, not yet started.

    `base` are the settings that the client's options change, `problems` what to tell the user of
    them. `load_engine` is called on a thread and raises ModelError or EngineError.
    """
    server = Server("santa-lsp", __version__, notebook_document_sync=_NOTEBOOKS)
    server.protocol.experimental = EXPERIMENTAL
    session = Session(server, base, problems, load_engine)
    for method, handler in FEATURES.items():
        server.feature(method, _OPTIONS.get(method))(_of_session(session, handler))
    for name, handler in COMMANDS.items():
        server.command(name)(_of_session(session, handler))
    return server


def _of_session(session: Session, handler: Callable[..., Any]) -> Callable[..., Any]:
    """A handler with its session; pygls tells by the kind of function whether it is async."""
    if asyncio.iscoroutinefunction(handler):

        async def bound_async(*arguments: Any) -> Any:
            return await handler(session, *arguments)

        return bound_async

    def bound(*arguments: Any) -> Any:
        return handler(session, *arguments)

    return bound


def serve(
    base: Settings,
    problems: Sequence[str],
    wire: Wire,
    load_engine: LoadEngine = load_local_engine,
) -> NoReturn:
    """Serve one client until it leaves."""
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("santa_lsp").setLevel(LOG_LEVELS[base.log_level])
    build_server(base, problems, load_engine).serve(wire)
