"""The server object, its message loop, and how its process ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
import time
from typing import Any, NoReturn
from urllib.parse import unquote

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from santa_lsp.document import Document, Encoding
from santa_lsp.protocol.documents import OpenDocument
from santa_lsp.protocol.messages import Protocol, describe_error
from santa_lsp.protocol.wire import END, Greeted, Wire

log = logging.getLogger(__name__)

#: Seconds between two looks at the parent process.
PARENT_POLL = 1.0

#: Seconds the messages already received may still take once the client has hung up.
HANG_UP_GRACE = 5.0


class Server(LanguageServer):
    """A pygls server, with pygls's decorators, that survives errors and ends when LSP says so.

    Start it with `serve`, not with pygls's own methods.

    An async handler runs up to its first `await` before the next message is applied: take the
    snapshot of the document there. Handlers of requests may raise `JsonRpcException` to choose
    their error reply; any other exception is logged (type, source line) and answered with -32603.
    """

    protocol: Protocol

    def __init__(
        self,
        name: str,
        version: str,
        *,
        notebook_document_sync: types.NotebookDocumentSyncOptions | None = None,
    ) -> None:
        self._parent: int | None = None
        super().__init__(
            name, version, notebook_document_sync=notebook_document_sync, protocol_cls=Protocol
        )
        _silence_pygls()

    @property
    def encoding(self) -> Encoding:
        """The unit that positions count on this connection; RuntimeError before initialize."""
        return self.protocol.workspace.encoding

    @property
    def documents(self) -> list[Document]:
        """Every open document and notebook cell, in the order they were opened."""
        opened = self.protocol.workspace.text_documents.values()
        return [entry.document for entry in opened if isinstance(entry, OpenDocument)]

    def document(self, uri: str) -> Document | None:
        """The open document or notebook cell of that URI; None when it is not open."""
        entry = self.protocol.workspace.text_documents.get(unquote(uri))
        return entry.document if isinstance(entry, OpenDocument) else None

    @property
    def process_id(self) -> int | None:
        """The client's process, as initialize names it."""
        return self._process_id

    @process_id.setter
    def process_id(self, process_id: int | None) -> None:
        self._process_id = process_id
        # A process that does not exist here is in another container: its id means nothing.
        self._parent = process_id if process_id and _is_alive(process_id) else None

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Log the error. pygls would open a window in the editor for each."""
        log.error("%s", describe_error(error))

    def serve(self, wire: Wire) -> NoReturn:
        """Serve one client, then leave the process: 0 after a shutdown request, otherwise 1."""

        async def session() -> None:
            # Leave from inside: asyncio.run would first wait for handlers and worker threads.
            _leave(await self._serve(wire))

        threading.Thread(target=self._watch, args=(wire.ended,), name="watch", daemon=True).start()
        try:
            asyncio.run(session())
        finally:
            _leave(1)

    async def _serve(self, wire: Wire) -> int:
        """Handle messages until `exit` or the end of the stream; returns the exit status."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_log_loop_error)
        queue: asyncio.Queue[object] = asyncio.Queue()

        def deliver(message: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has closed: the session is over
                loop.call_soon_threadsafe(queue.put_nowait, message)

        self.protocol.set_writer(wire, include_headers=False)
        wire.attach(deliver)
        while (message := await queue.get()) is not END:
            if isinstance(message, dict) and message.get("method") == types.EXIT:
                break
            try:
                if isinstance(message, Greeted):
                    await self.protocol.catch_up(message.request)
                else:
                    self.protocol.receive(message)
            except Exception as error:
                log.error("message failed: %s", describe_error(error))
                if isinstance(message, Greeted):  # its reply was sent: tell the user
                    reason = f"{self.name} cannot serve: the editor's initialize request is invalid"
                    self.window_show_message(
                        types.ShowMessageParams(types.MessageType.Error, reason)
                    )
                    return 1
            # Lets the handler that has just started take its snapshot before the next edit.
            await asyncio.sleep(0)
        if self.protocol.has_shut_down and (cancelled := self.protocol.unanswered):
            await asyncio.wait(cancelled, timeout=0.2)  # their -32800 replies
        return 0 if self.protocol.has_shut_down else 1

    def _watch(self, ended: threading.Event) -> None:
        """End the process when its parent or its client is gone, also if the loop is stuck."""
        while not ended.wait(PARENT_POLL):
            if self._parent is not None and not _is_alive(self._parent):
                log.warning("the client's process is gone")
                _leave(1)
        time.sleep(HANG_UP_GRACE)
        _leave(1)


def _silence_pygls() -> None:
    """Switch pygls's loggers off: they write whole messages, with the user's code."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith("pygls")]
    for name in ["pygls", *names]:
        logging.getLogger(name).disabled = True


def _log_loop_error(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """asyncio's own report would print the error's text."""
    error = context.get("exception")
    place = describe_error(error) if error else context.get("message")
    log.error("in the event loop: %s", place)


def _is_alive(process_id: int) -> bool:
    """Whether a process of that id exists."""
    if sys.platform == "win32":  # os.kill would end the process there
        import ctypes

        kernel = ctypes.windll.kernel32
        synchronize, timed_out = 0x00100000, 0x102
        handle = kernel.OpenProcess(synchronize, False, process_id)
        if not handle:
            return False
        try:
            return bool(kernel.WaitForSingleObject(handle, 0) == timed_out)
        finally:
            kernel.CloseHandle(handle)
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _leave(status: int) -> NoReturn:
    """End the process at once: a normal exit would wait for a thread that computes."""
    with contextlib.suppress(Exception):
        sys.stderr.flush()
    os._exit(status)


_silence_pygls()
