"""The private members of pygls that santa_lsp uses, as the installed version has them.

When a new version moves one, the test of its name fails, and says which file uses it.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pygls.lsp.server
import pygls.protocol
import pygls.workspace
import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcMethodNotFound

from santa_lsp.protocol.documents import OpenDocument, OpenDocuments
from santa_lsp.protocol.loop import Server
from santa_lsp.protocol.messages import Protocol

ROOT = Path(__file__).parents[1]
MESSAGES, DOCUMENTS, LOOP = (
    f"santa_lsp/protocol/{name}.py" for name in ("messages", "documents", "loop")
)
#: Our classes and the pygls classes that they extend.
EXTENDED: dict[type, type] = {
    Protocol: pygls.protocol.LanguageServerProtocol,
    Server: pygls.lsp.server.LanguageServer,
    OpenDocuments: pygls.workspace.Workspace,
    OpenDocument: pygls.workspace.TextDocument,
}


class Stock:
    """pygls as it comes: a server, its protocol, what it sends and what it was asked to do."""

    def __init__(self) -> None:
        self.server = pygls.lsp.server.LanguageServer("stock", "1")
        self.protocol: Any = self.server.protocol
        self.sent: list[Any] = []

    def initialize(self) -> types.InitializeResult:
        """Run pygls's own handler of initialize."""
        params = types.InitializeParams(capabilities=types.ClientCapabilities(), process_id=7)
        result: types.InitializeResult = finish(self.protocol.lsp_initialize(params))
        return result

    def run(self, handler: Callable[..., Any], *arguments: object) -> Future[Any]:
        """Execute a handler as pygls does; the future that its callback gets."""
        seen: list[Future[Any]] = []
        self.protocol._execute_handler("1", handler, seen.append, arguments)
        (future,) = seen
        return future

    def keep_what_is_sent(self) -> None:
        self.protocol._send_data = self.sent.append


def finish(generator: Any) -> Any:
    """The result of a generator that yields to no handler."""
    try:
        next(generator)
    except StopIteration as end:
        return end.value
    raise AssertionError("it yielded to a handler that nobody has registered")


def workspace_appears(stock: Stock) -> bool:
    before = stock.protocol._workspace
    stock.initialize()
    return before is None and isinstance(stock.protocol._workspace, pygls.workspace.Workspace)


def shutdown_is_noted(stock: Stock) -> bool:
    before = stock.protocol._shutdown
    finish(stock.protocol.lsp_shutdown(None))
    return (before, stock.protocol._shutdown) == (False, True)


def a_running_handler_is_kept(stock: Stock) -> bool:
    during: list[Any] = []

    def handler() -> Any:
        during.extend(stock.protocol._request_futures)
        return None
        yield  # as the built-in handlers, a generator

    stock.run(handler)
    return during == ["1"]


def a_request_of_ours_has_a_result_type(stock: Stock) -> bool:
    stock.keep_what_is_sent()
    stock.protocol.send_request(types.WORKSPACE_CONFIGURATION, types.ConfigurationParams([]))
    (msg_id,) = stock.protocol._result_types
    return list(stock.protocol._request_futures) == [msg_id]


def json_is_made_typed(stock: Stock) -> bool:
    position = stock.protocol._converter.structure({"line": 1, "character": 2}, types.Position)
    return bool(position == types.Position(1, 2))


def the_request_of_a_handler_is_known(stock: Stock) -> bool:
    assert isinstance(stock.protocol._ctx_msg_id, ContextVar)
    token = stock.protocol._ctx_msg_id.set("mine")
    found = stock.protocol.msg_id
    stock.protocol._ctx_msg_id.reset(token)
    return bool(found == "mine")


def handlers_are_found_by_method(stock: Stock) -> bool:
    with pytest.raises(JsonRpcMethodNotFound):
        stock.protocol._get_handler("no/such/method")
    return callable(stock.protocol._get_handler(types.SHUTDOWN))


def handlers_are_run_with_a_callback(stock: Stock) -> bool:
    return bool(stock.run(lambda number: number + 1, 1).result() == 2)


def a_cancelled_request_is_forgotten(stock: Stock) -> bool:
    future: Future[Any] = Future()
    stock.protocol._request_futures["1"] = future
    stock.protocol._handle_cancel_notification("1")
    return future.cancelled() and "1" not in stock.protocol._request_futures


def a_response_goes_through_send_data(stock: Stock) -> bool:
    """With the id at hand, which tells a reply from a notification."""
    stock.keep_what_is_sent()
    stock.protocol._send_response("1", {"a": 1})
    (reply,) = stock.sent
    return reply.id == "1" and reply.result == {"a": 1} and not hasattr(reply, "method")


def a_notification_goes_through_send_data(stock: Stock) -> bool:
    stock.keep_what_is_sent()
    stock.protocol.notify("some/method", {})
    return [message.method for message in stock.sent] == ["some/method"]


def typed_messages_become_json(stock: Stock) -> bool:
    found = stock.protocol._serialize_message(types.Position(1, 2))
    return bool(found == {"line": 1, "character": 2})


def initialize_is_a_generator_with_its_result(stock: Stock) -> bool:
    result = stock.initialize()
    sync = result.capabilities.text_document_sync
    return isinstance(sync, types.TextDocumentSyncOptions)


def shutdown_is_a_generator(stock: Stock) -> bool:
    return inspect.isgeneratorfunction(stock.protocol.lsp_shutdown)


def builtin_handlers_are_found_by_name(stock: Stock) -> bool:
    """What overrides one has to be marked with the same decorator."""
    return stock.protocol.lsp_shutdown.method_name == types.SHUTDOWN


def handlers_of_the_user_are_listed(stock: Stock) -> bool:
    stock.server.feature(types.SHUTDOWN)(lambda: None)
    return types.SHUTDOWN in stock.protocol.fm.features


def types_of_messages_come_by_method(stock: Stock) -> bool:
    found = stock.protocol.get_message_type(types.TEXT_DOCUMENT_INLINE_COMPLETION)
    return found is types.InlineCompletionRequest


def the_type_of_a_message_is_asked_for(stock: Stock) -> bool:
    asked: list[str] = []
    stock.protocol.get_message_type = asked.append  # and has none: it is taken as it is
    stock.protocol.structure_message({"jsonrpc": "2.0", "id": 1, "method": "a/b", "params": {}})
    return asked == ["a/b"]


def the_process_of_the_client_is_set(stock: Stock) -> bool:
    stock.initialize()
    return stock.server.process_id == 7


def opened_documents_are_made_there(stock: Stock) -> bool:
    """With these keywords; and without a text for a document that is not open."""
    made: list[dict[str, Any]] = []
    stock.initialize()
    workspace = stock.protocol._workspace

    def create(uri: str, **options: Any) -> pygls.workspace.TextDocument:
        made.append(options)
        return pygls.workspace.TextDocument(uri, **options)

    workspace._create_text_document = create
    workspace.put_text_document(types.TextDocumentItem("file:///a", "python", 3, "text"))
    workspace.get_text_document("file:///b")
    return made == [{"source": "text", "version": 3, "language_id": "python"}, {}]


def edits_go_through_the_document(stock: Stock) -> bool:
    """Each change by itself, and the version by assignment."""
    seen: list[object] = []

    class Document(pygls.workspace.TextDocument):
        def apply_change(self, change: types.TextDocumentContentChangeEvent) -> None:
            seen.append(change)

    stock.initialize()
    workspace = stock.protocol._workspace
    workspace._create_text_document = lambda uri, **options: Document(uri, **options)
    workspace.put_text_document(types.TextDocumentItem("file:///a", "python", 3, "text"))
    change = types.TextDocumentContentChangeWholeDocument("other")
    workspace.update_text_document(types.VersionedTextDocumentIdentifier(4, "file:///a"), change)
    return seen == [change] and workspace.get_text_document("file:///a").version == 4


def the_number_of_workers_is_read_late(stock: Stock) -> bool:
    stock.server._max_workers = 3  # type: ignore[attr-defined]
    return stock.server.thread_pool._max_workers == 3


@dataclass(frozen=True)
class Member:
    """`works` says whether stock pygls has it and does with it what `file` relies on."""

    name: str
    file: str
    works: Callable[[Stock], bool]


MEMBERS = (
    Member("LanguageServerProtocol._workspace", MESSAGES, workspace_appears),
    Member("LanguageServerProtocol._shutdown", MESSAGES, shutdown_is_noted),
    Member("LanguageServerProtocol._request_futures", MESSAGES, a_running_handler_is_kept),
    Member("LanguageServerProtocol._result_types", MESSAGES, a_request_of_ours_has_a_result_type),
    Member("LanguageServerProtocol._converter", MESSAGES, json_is_made_typed),
    Member("LanguageServerProtocol._ctx_msg_id", MESSAGES, the_request_of_a_handler_is_known),
    Member("LanguageServerProtocol._get_handler", MESSAGES, handlers_are_found_by_method),
    Member("LanguageServerProtocol._execute_handler", MESSAGES, handlers_are_run_with_a_callback),
    Member(
        "LanguageServerProtocol._handle_cancel_notification",
        MESSAGES,
        a_cancelled_request_is_forgotten,
    ),
    Member("LanguageServerProtocol._send_response", MESSAGES, a_response_goes_through_send_data),
    Member("LanguageServerProtocol._send_data", MESSAGES, a_notification_goes_through_send_data),
    Member("LanguageServerProtocol._serialize_message", MESSAGES, typed_messages_become_json),
    Member(
        "LanguageServerProtocol.lsp_initialize", MESSAGES, initialize_is_a_generator_with_its_result
    ),
    Member("LanguageServerProtocol.lsp_shutdown", MESSAGES, shutdown_is_a_generator),
    Member("lsp_method", MESSAGES, builtin_handlers_are_found_by_name),
    Member("LanguageServerProtocol.fm.features", MESSAGES, handlers_of_the_user_are_listed),
    Member("LanguageServerProtocol.get_message_type", MESSAGES, types_of_messages_come_by_method),
    Member(
        "LanguageServerProtocol.structure_message", MESSAGES, the_type_of_a_message_is_asked_for
    ),
    Member("LanguageServer.process_id", LOOP, the_process_of_the_client_is_set),
    Member("Workspace._create_text_document", DOCUMENTS, opened_documents_are_made_there),
    Member("TextDocument.apply_change", DOCUMENTS, edits_go_through_the_document),
    Member(
        "LanguageServer._max_workers",
        "tests/support/protocol_server.py",
        the_number_of_workers_is_read_late,
    ),
)


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_pygls_has_the_member_and_it_works_as_it_did(member: Member) -> None:
    message = f"pygls {version('pygls')} has changed {member.name}, which {member.file} relies on"
    try:
        works = member.works(Stock())
    except Exception as error:
        pytest.fail(f"{message}: {type(error).__name__}: {error}")
    assert works, message


def private_names(node: ast.AST) -> set[str]:
    """The private attributes of `self` and `super()` that some code uses."""
    return {
        each.attr
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute)
        and each.attr.startswith("_")
        and not each.attr.startswith("__")
        and ast.unparse(each.value) in ("self", "super()")
    }


def instance_names(theirs: type) -> set[str]:
    """All names of a pygls class, its attributes too."""
    sources = [inspect.getsource(each) for each in theirs.__mro__ if each is not object]
    assigned = {name for source in sources for name in private_names(ast.parse(source))}
    return assigned | set(dir(theirs))


@pytest.mark.parametrize(("ours", "theirs"), EXTENDED.items(), ids=lambda each: each.__name__)
def test_every_private_member_that_is_used_is_tested_here(ours: type, theirs: type) -> None:
    tree = ast.parse(inspect.getsource(ours))
    overridden = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    used = (private_names(tree) | overridden) & instance_names(theirs)
    private = {name for name in used if name.startswith("_") and not name.startswith("__")}
    tested = {member.name.rpartition(".")[2] for member in MEMBERS}
    assert private <= tested
