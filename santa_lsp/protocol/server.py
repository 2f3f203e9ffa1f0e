"""The server object, its message loop, and how its process ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NoReturn
from urllib.parse import unquote

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from santa_lsp.document import Document, Encoding
from santa_lsp.protocol.documents import OpenDocument
from santa_lsp.protocol.framing import MAX_BODY, decode, read_messages
from santa_lsp.protocol.messages import Protocol, describe_error

log = logging.getLogger(__name__)

#: Seconds between two looks at the parent process.
PARENT_POLL = 1.0

#: Seconds the messages already received may still take once the client has hung up.
HANG_UP_GRACE = 5.0

_END = object()


class Output:
    """The client's end of the wire, as pygls wants a writer. Any thread may write."""

    def __init__(self, write: Callable[[bytes], object], on_lost: Callable[[], None]) -> None:
        self._write = write
        self._on_lost = on_lost
        self._lock = threading.Lock()

    def write(self, data: bytes) -> None:
        """Send now; a client that no longer listens ends the session and raises nothing here."""
        try:
            with self._lock:
                self._write(data)
        except (OSError, ValueError) as error:
            log.info("the client is gone (%s)", type(error).__name__)
            self._on_lost()

    def close(self) -> None:
        """The process's end closes it."""


class HardenedServer(LanguageServer):
    """A pygls server, with pygls's decorators, that stays up and leaves when it should.

    An async handler runs up to its first `await` before the next message is applied: take the
    snapshot of the document there. Handlers of requests may raise `JsonRpcException` to choose
    their error reply; any other exception is logged (type and place) and answered with -32603.
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
        self._ended = threading.Event()
        super().__init__(
            name, version, notebook_document_sync=notebook_document_sync, protocol_cls=Protocol
        )
        _silence_pygls()

    @property
    def encoding(self) -> Encoding:
        """What positions count on this connection; RuntimeError before initialize."""
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
        # One that is gone already lives in another container, where its number means nothing here.
        self._parent = process_id if process_id and _is_alive(process_id) else None

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Log; pygls would pop up a window for each failure."""
        log.error("%s", describe_error(error))

    def start_io(self, stdin: BinaryIO | None = None, stdout: BinaryIO | None = None) -> NoReturn:
        """Serve stdin and stdout, then leave the process: 0 after a shutdown request, otherwise 1.

        The two file descriptors are taken away from the rest of the program: a `print` goes to
        stderr and a child process cannot swallow messages.
        """
        source = stdin.fileno() if stdin else _take_descriptor(0, os.devnull, os.O_RDONLY)
        if stdout is None:
            stdout = os.fdopen(os.dup(1), "wb")
            os.dup2(2, 1)
            sys.stdout = sys.stderr
        target = stdout

        def write(data: bytes) -> None:
            target.write(data)
            target.flush()

        self._serve_and_leave(lambda: read_messages(lambda: os.read(source, 1 << 20)), write)

    def start_tcp(self, host: str, port: int) -> NoReturn:
        """Serve the first connection to HOST:PORT, then leave the process as `start_io` does.

        Port 0 picks a free one; the address is printed to stderr. OSError when it is taken.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.create_server((host, port), family=family) as listener:
            address = listener.getsockname()
            print(f"listening on {address[0]}:{address[1]}", file=sys.stderr, flush=True)
            connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._serve_and_leave(
            lambda: read_messages(lambda: connection.recv(1 << 20)), connection.sendall
        )

    def start_ws(self, host: str, port: int) -> NoReturn:
        """Serve the first WebSocket connection to HOST:PORT, one message a text frame.

        Otherwise as `start_tcp`. ImportError without the `websockets` package.
        """
        # An optional package; mypy is run with and without it.
        from websockets import exceptions  # type: ignore[import-not-found,unused-ignore]
        from websockets.sync import server  # type: ignore[import-not-found,unused-ignore]

        taken = threading.Lock()

        def session(connection: server.ServerConnection) -> None:
            if not taken.acquire(blocking=False):
                return  # there is one set of documents: a second client is turned away

            def write(data: bytes) -> None:
                try:
                    connection.send(data.decode("ascii"))
                except exceptions.ConnectionClosed as error:
                    raise ConnectionError from error

            self._serve_and_leave(lambda: map(decode, connection), write, headers=False)

        with server.serve(session, host, port, max_size=MAX_BODY) as listener:
            address = listener.socket.getsockname()
            print(f"listening on {address[0]}:{address[1]}", file=sys.stderr, flush=True)
            listener.serve_forever()
        _leave(1)

    def _serve_and_leave(
        self,
        messages: Callable[[], Iterator[object]],
        write: Callable[[bytes], object],
        *,
        headers: bool = True,
    ) -> NoReturn:
        async def session() -> None:
            # Left from inside: asyncio.run would first wait for handlers and worker threads.
            _leave(await self._serve(messages, write, headers))

        threading.Thread(target=self._watch, name="watch", daemon=True).start()
        try:
            asyncio.run(session())
        finally:
            _leave(1)

    async def _serve(
        self,
        messages: Callable[[], Iterator[object]],
        write: Callable[[bytes], object],
        headers: bool,
    ) -> int:
        """Handle messages until `exit` or the end of the stream; returns the exit status."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_log_loop_error)
        queue: asyncio.Queue[object] = asyncio.Queue()

        def deliver(message: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody is left to tell
                loop.call_soon_threadsafe(queue.put_nowait, message)

        def end() -> None:
            self._ended.set()
            deliver(_END)

        def read() -> None:
            try:
                for message in messages():
                    deliver(message)
            except OSError as error:
                log.info("the client is gone (%s)", type(error).__name__)
            finally:
                end()

        self.protocol.set_writer(Output(write, on_lost=end), include_headers=headers)
        threading.Thread(target=read, name="reader", daemon=True).start()
        while (message := await queue.get()) is not _END:
            if isinstance(message, dict) and message.get("method") == types.EXIT:
                break
            try:
                self.protocol.receive(message)
            except Exception as error:
                log.error("message failed: %s", describe_error(error))
            # Lets the handler just started take its snapshot before the next edit is applied.
            await asyncio.sleep(0)
        if self.protocol.has_shut_down and (cancelled := self.protocol.unanswered):
            await asyncio.wait(cancelled, timeout=0.2)  # their -32800 replies
        return 0 if self.protocol.has_shut_down else 1

    def _watch(self) -> None:
        """End the process when its parent or its client is gone, even if the loop is stuck."""
        while not self._ended.wait(PARENT_POLL):
            if self._parent is not None and not _is_alive(self._parent):
                log.warning("the client's process is gone")
                _leave(1)
        time.sleep(HANG_UP_GRACE)
        _leave(1)


def _silence_pygls() -> None:
    """Switch pygls's loggers off: they write whole messages, the user's code with them."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith("pygls")]
    for name in ["pygls", *names]:
        logging.getLogger(name).disabled = True


def _log_loop_error(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """asyncio's own report would print the error's text."""
    error = context.get("exception")
    place = describe_error(error) if error else context.get("message")
    log.error("in the event loop: %s", place)


def _take_descriptor(descriptor: int, replacement: str, flags: int) -> int:
    """A private copy of a file descriptor, whose number then means `replacement`."""
    copy = os.dup(descriptor)
    other = os.open(replacement, flags)
    os.dup2(other, descriptor)
    os.close(other)
    return copy


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
    """End the process at once: a thread that is computing would keep a normal exit waiting."""
    with contextlib.suppress(Exception):
        sys.stderr.flush()
    os._exit(status)


_silence_pygls()
