"""From one message to its handler, and for each request exactly one reply."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import traceback
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any

import attrs
from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcMethodNotFound
from pygls.protocol import LanguageServerProtocol, lsp_method

from santa_lsp.protocol.documents import OpenDocuments
from santa_lsp.protocol.framing import Malformed

log = logging.getLogger(__name__)

MessageId = int | str


@attrs.define
class InlineCompletionParams(types.InlineCompletionParams):
    """The params of textDocument/inlineCompletion, with the token that lsprotocol drops."""

    partial_result_token: types.ProgressToken | None = None


@attrs.define
class InlineCompletionRequest:
    """lsprotocol's request with our params."""

    id: MessageId
    params: InlineCompletionParams
    method: str = types.TEXT_DOCUMENT_INLINE_COMPLETION
    jsonrpc: str = "2.0"


attrs.resolve_types(InlineCompletionParams)
attrs.resolve_types(InlineCompletionRequest)


def describe_error(error: BaseException) -> str:
    """Type and call sites of an error and its causes, never its text, which may quote user code."""
    lines: list[str] = []
    current: BaseException | None = error
    while current is not None and len(lines) < 200:  # contexts may form a cycle
        lines.append(type(current).__name__)
        frames = traceback.extract_tb(current.__traceback__)
        lines += [f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
        hidden = None if current.__suppress_context__ else current.__context__
        current = current.__cause__ or hidden
    return "\n".join(lines)


class Protocol(LanguageServerProtocol):
    """pygls's bookkeeping of requests and handlers; messages come in by our own `receive`."""

    #: The server's extensions, as `capabilities.experimental`.
    experimental: types.LSPAny = None

    @property
    def workspace(self) -> OpenDocuments:
        """The open documents; RuntimeError before initialize."""
        made = super().workspace
        if not isinstance(made, OpenDocuments):
            # pygls has just built its own kind in lsp_initialize. No caller has it yet, for this
            # property is the only access to it.
            made = OpenDocuments(
                made.root_uri,
                workspace_folders=list(made.folders.values()),
                position_encoding=made.position_encoding,
            )
            self._workspace = made
        return made

    @property
    def has_shut_down(self) -> bool:
        """The client sent a shutdown request."""
        return self._shutdown

    @property
    def unanswered(self) -> list[asyncio.Task[Any]]:
        """Async handlers that have not replied."""
        futures: list[Any] = list(self._request_futures.values())
        return [future for future in futures if isinstance(future, asyncio.Task)]

    def get_message_type(  # type: ignore[override]  # pygls's is wrapped in lru_cache
        self, method: str
    ) -> type[Any] | None:
        """lsprotocol's type of a message, our own for inline completion."""
        if method == types.TEXT_DOCUMENT_INLINE_COMPLETION:
            return InlineCompletionRequest
        return super().get_message_type(method)

    def receive(self, message: object) -> None:
        """Handle one JSON value sent by the client. Raises nothing; replies to every request."""
        if isinstance(message, Malformed):
            self._refuse(None, types.ErrorCodes.ParseError, message.reason)
            return
        if not isinstance(message, dict):
            kind = "batches are not part of LSP" if isinstance(message, list) else "not an object"
            self._refuse(None, types.ErrorCodes.InvalidRequest, kind)
            return
        method, msg_id = message.get("method"), message.get("id")
        if not isinstance(msg_id, int | str) or isinstance(msg_id, bool):
            msg_id = None
        is_call, has_id = "method" in message, "id" in message
        if not is_call and ("result" in message or "error" in message):
            self._receive_response(msg_id, message)  # never replied to: peers could loop
        elif (
            message.get("jsonrpc") != self.VERSION
            or not isinstance(method, str)
            or (has_id and msg_id is None)
        ):
            reason = "not a JSON-RPC 2.0 message"
            self._refuse(msg_id, types.ErrorCodes.InvalidRequest, reason)
        elif msg_id is None:
            self._receive_notification(method, message.get("params"))
        else:
            self._receive_request(msg_id, method, message.get("params"))

    async def catch_up(self, request: dict[str, Any]) -> None:
        """Handle an `initialize` request that has its reply. Raises its error, of any type."""
        loop = asyncio.get_running_loop()
        handled: asyncio.Future[Future[Any]] = loop.create_future()
        params = self._structure(types.INITIALIZE, request).params
        self._run_handler(request["id"], types.INITIALIZE, params, handled.set_result)
        outcome = await handled
        self._request_futures.pop(request["id"], None)
        outcome.result()

    def _receive_request(self, msg_id: MessageId, method: str, params: object) -> None:
        codes = types.ErrorCodes
        initialized = self._workspace is not None
        if self._shutdown:
            self._refuse(msg_id, codes.InvalidRequest, "the server is shutting down", method)
        elif not initialized and method != types.INITIALIZE:
            self._refuse(msg_id, codes.ServerNotInitialized, "initialize comes first", method)
        elif initialized and method == types.INITIALIZE:
            self._refuse(msg_id, codes.InvalidRequest, "initialized already", method)
        elif msg_id in self._request_futures:
            self._refuse(msg_id, codes.InvalidRequest, "a request of that id is under way", method)
        elif not self._has_handler(method):
            self._refuse(msg_id, codes.MethodNotFound, f"no such method: {method}", method)
        else:
            try:
                request = self._structure(method, {"id": msg_id, "params": params})
            except Exception as error:
                reason = f"invalid params for {method}"
                self._refuse(msg_id, codes.InvalidParams, reason, method, error)
                return

            def reply(future: Future[Any]) -> None:
                self._reply(msg_id, method, future)

            self._run_handler(msg_id, method, request.params, reply)

    def _receive_notification(self, method: str, params: object) -> None:
        if self._shutdown or self._workspace is None:
            log.info("dropped notification %s outside the session", method)
            return
        if method != types.CANCEL_REQUEST and not self._has_handler(method):
            log.debug("ignored notification %s", method)
            return
        try:
            notification = self._structure(method, {"params": params})
        except Exception as error:
            log.warning("dropped notification %s: params (%s)", method, type(error).__name__)
            return
        if method == types.CANCEL_REQUEST:
            self._handle_cancel_notification(notification.params.id)
            return

        def check(future: Future[Any]) -> None:
            if not future.cancelled() and (error := future.exception()) is not None:
                log.error("notification %s failed: %s", method, describe_error(error))

        self._run_handler(f"notification {id(notification)}", method, notification.params, check)

    def _receive_response(self, msg_id: MessageId | None, message: dict[str, Any]) -> None:
        # Only ids of our own requests have a result type: a reply must not settle a handler.
        if msg_id is None or not (msg_id in self._result_types and msg_id in self._request_futures):
            log.info("ignored a reply to unknown request %r", msg_id)
            return
        result_type = self._result_types.pop(msg_id)
        future = self._request_futures.pop(msg_id)
        if not future.set_running_or_notify_cancel():
            return
        try:
            if (raw := message.get("error")) is not None:
                error = self._converter.structure(raw, types.ResponseError)
                future.set_exception(JsonRpcException.from_error(error))
            elif result_type is None:
                future.set_result(message.get("result"))
            else:
                data = {"id": msg_id, "jsonrpc": self.VERSION, "result": message.get("result")}
                future.set_result(self._converter.structure(data, result_type).result)
        except Exception as error:
            log.warning("reply %r is invalid (%s)", msg_id, type(error).__name__)
            future.set_exception(error)

    def _has_handler(self, method: str) -> bool:
        try:
            self._get_handler(method)
        except JsonRpcMethodNotFound:
            return False
        return True

    def _structure(self, method: str, fields: dict[str, Any]) -> Any:
        """The typed message. Raises an exception of any type when its params are invalid."""
        return self.structure_message({"jsonrpc": self.VERSION, "method": method, **fields})

    def _run_handler(
        self,
        msg_id: MessageId,
        method: str,
        params: object,
        callback: Callable[[Future[Any]], None],
    ) -> None:
        def run() -> None:
            self._ctx_msg_id.set(msg_id)
            self._execute_handler(msg_id, self._get_handler(method), callback, (params,))

        # A context of its own, so that each handler finds the id of its request in `msg_id`.
        contextvars.copy_context().run(run)

    def _reply(self, msg_id: MessageId, method: str, future: Future[Any]) -> None:
        if self._request_futures.get(msg_id) is future:
            del self._request_futures[msg_id]
        if future.cancelled():
            self._refuse(msg_id, types.LSPErrorCodes.RequestCancelled, "cancelled", method)
        elif (error := future.exception()) is None:
            self._send_response(msg_id, future.result())
        elif isinstance(error, JsonRpcException):  # the handler chose the reply
            self._refuse(msg_id, error.code, error.message, method)
        else:
            log.error("request %s failed: %s", method, describe_error(error))
            self._refuse(msg_id, types.ErrorCodes.InternalError, type(error).__name__, method)

    def _refuse(
        self,
        msg_id: MessageId | None,
        code: int,
        message: str,
        method: str = "",
        error: Exception | None = None,
    ) -> None:
        """Answer with an error; `message` goes to the client, not to the log."""
        kind = f" ({type(error).__name__})" if error else ""
        log.info("error %d for %s, id %r%s", code, method or "a message", msg_id, kind)
        error_object = {"code": int(code), "message": message}
        self._send_data({"jsonrpc": self.VERSION, "id": msg_id, "error": error_object})

    def _send_data(self, data: Any) -> None:
        if self.writer is None:
            return
        try:
            body = json.dumps(data, default=self._serialize_message, separators=(",", ":"))
        except Exception as error:
            log.error("cannot write a message: %s", describe_error(error))
            if hasattr(data, "id") and not hasattr(data, "method"):  # a reply must reach its asker
                self._refuse(data.id, types.ErrorCodes.InternalError, type(error).__name__)
            return
        self.writer.write(body.encode("ascii"))  # json.dumps escapes all else

    @lsp_method(types.INITIALIZE)
    def lsp_initialize(
        self, params: types.InitializeParams
    ) -> Generator[Any, Any, types.InitializeResult]:
        """pygls's reply, with our extensions, and the same for every client."""
        result = yield from super().lsp_initialize(params)
        offered = result.capabilities
        offered.experimental = self.experimental
        if isinstance(sync := offered.text_document_sync, types.TextDocumentSyncOptions):
            # pygls writes false for clients that know the notification, and nothing for others.
            sync.will_save = sync.will_save or None
            sync.will_save_wait_until = sync.will_save_wait_until or None
        return result

    @lsp_method(types.SHUTDOWN)
    def lsp_shutdown(self, *args: Any) -> Generator[Any, Any, None]:
        """Cancel all unanswered requests, each with -32800, and accept no more."""
        if (user_handler := self.fm.features.get(types.SHUTDOWN)) is not None:
            yield user_handler, args, None
        current = self.msg_id
        for msg_id, future in list(self._request_futures.items()):  # cancelling removes entries
            if msg_id != current and not future.done():
                future.cancel()
        self._shutdown = True
