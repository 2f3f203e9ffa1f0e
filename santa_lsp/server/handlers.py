"""One short function for each LSP method and command; `FEATURES` and `COMMANDS` list them.

They translate the protocol's types into ours and back.
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
    """Take the initialization options; their problems are told after `initialized`."""
    session.settings, found = settings.parse(params.initialization_options, session.base)
    session.base = session.settings
    session.problems += found
    session.client.take_capabilities(params.capabilities)
    logging.getLogger("santa_lsp").setLevel(LOG_LEVELS[session.settings.log_level])


async def initialized(session: Session, params: types.InitializedParams) -> None:
    """Tell the problems of the settings, and load the model."""
    for problem in session.problems:
        session.client.warn(problem)
    await session.load_model()
    await session.pull_options()


async def did_change_configuration(
    session: Session, params: types.DidChangeConfigurationParams
) -> None:
    """Take the `santa` section that the client pushed, or ask for it."""
    pushed = params.settings
    if isinstance(pushed, dict) and "santa" in pushed:
        await session.use_options(pushed["santa"])
    else:
        await session.pull_options()


def did_change(session: Session, params: types.DidChangeTextDocumentParams) -> None:
    """Measure the typing speed and prepare for the next request; the edit has been applied."""
    session.typing_speed.key(time.monotonic())
    if params.content_changes:
        position = snapshot.end_of_change(params.content_changes[-1])
        if position is not None:
            _cursor_moved(session, params.text_document.uri, position)


def did_close(session: Session, params: types.DidCloseTextDocumentParams) -> None:
    """Stop the computation for a document that was closed."""
    session.forget(params.text_document.uri)


async def inline_completion(
    session: Session, params: InlineCompletionParams
) -> types.InlineCompletionList | None:
    """The completion at a position, or null; `santa.why` gives the reason."""
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
    """The completion in the ordinary list, for clients without inline completion."""
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
    """Count the completion that the user took, and prefetch the next. The count stays here."""
    uri, candidate = arguments if len(arguments) == 2 else (None, 0)
    known = isinstance(uri, str) and isinstance(candidate, int)
    session.accept(uri if known else None, candidate if known else 0)


def why(session: Session, *arguments: Any) -> str:
    """The reason for the last request's outcome."""
    return session.why


def statistics(session: Session, *arguments: Any) -> dict[str, Any]:
    """Counters since the start; see santa_lsp.completion.statistics."""
    return session.statistics.as_dict(session.model.cache_counts())


async def restart(session: Session, *arguments: Any) -> None:
    """Load the model again."""
    await session.load_model()


async def select_model(session: Session, name: object = None, *arguments: Any) -> None:
    """Serve another model with the same documents and settings."""
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
    notebook_selector=[types.NotebookDocumentFilterWithNotebook(notebook="*")]
)


def build_server(
    base: Settings,
    problems: Sequence[str] = (),
    load_engine: LoadEngine = load_local_engine,
) -> Server:
    """The server with all handlers, not yet started.

    The client's options change the settings `base`; the user is told their `problems`.
    `load_engine` is called on a thread and raises ModelError or EngineError.
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
    """A handler with its session. pygls sees from the function whether it is async."""
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
