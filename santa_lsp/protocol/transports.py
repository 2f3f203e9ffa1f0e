"""The transports of a `Wire`: stdin and stdout, TCP, WebSocket. Only the last needs a library.

A socket serves the first client alone, for there is one set of documents.
"""

from __future__ import annotations

import os
import queue
import socket
import sys
import threading

from santa_lsp.protocol.framing import MAX_BODY, decode, read_messages, with_header
from santa_lsp.protocol.wire import Greet, Wire


def open_stdio(greet: Greet | None = None) -> Wire:
    """The process's stdin and stdout.

    The two file descriptors are taken away from all other code: a `print` goes to stderr, and a
    child process cannot read messages.
    """
    source = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    target = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr

    def send(body: bytes) -> None:
        target.write(with_header(body))
        target.flush()

    return Wire(read_messages(lambda: os.read(source, 1 << 20)), send, greet)


def accept_tcp(host: str, port: int, greet: Greet | None = None) -> Wire:
    """Wait for a connection to HOST:PORT; OSError when the address is taken.

    Port 0 picks a free one; the address is printed to stderr.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listener:
        _announce(listener)
        connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Wire(
        read_messages(lambda: connection.recv(1 << 20)),
        lambda body: connection.sendall(with_header(body)),
        greet,
    )


def accept_websocket(host: str, port: int, greet: Greet | None = None) -> Wire:
    """As `accept_tcp`, one message a text frame. ImportError without the `websockets` package."""
    # An optional package; mypy is run with and without it.
    from websockets import exceptions  # type: ignore[import-not-found,unused-ignore]
    from websockets.sync import server  # type: ignore[import-not-found,unused-ignore]

    first = threading.Lock()
    accepted: queue.SimpleQueue[server.ServerConnection] = queue.SimpleQueue()

    def session(connection: server.ServerConnection) -> None:
        if first.acquire(blocking=False):
            accepted.put(connection)
            threading.Event().wait()  # to return would close the connection

    listener = server.serve(session, host, port, max_size=MAX_BODY)
    _announce(listener.socket)
    threading.Thread(target=listener.serve_forever, name="listener", daemon=True).start()
    connection = accepted.get()

    def send(body: bytes) -> None:
        try:
            connection.send(body.decode("ascii"))
        except exceptions.ConnectionClosed as error:
            raise ConnectionError from error

    return Wire(map(decode, connection), send, greet)


def _announce(listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    print(f"listening on {host}:{port}", file=sys.stderr, flush=True)
