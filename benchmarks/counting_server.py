"""The real server on stdio, its counters written to a file as they change.

    python -m benchmarks.counting_server COUNTS.json [OPTION...]

Stands between an editor and `santa-lsp --stdio OPTION...`, passes every message on, and requests
`santa.statistics` between them, for editors that cannot be asked to.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from santa_lsp.models.files import write_whole
from santa_lsp.protocol.framing import read_messages, with_header

#: Begins the ids of our own requests.
OWN = "benchmarks.counting_server/"
#: Seconds between two of them.
PERIOD = 0.2


class Pipe:
    """The writing end of a stream that several threads share."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._lock = stream, threading.Lock()

    def send(self, message: object) -> None:
        with self._lock:
            self._stream.write(with_header(json.dumps(message).encode()))
            self._stream.flush()


def messages(stream: IO[bytes]) -> Iterator[dict[str, Any]]:
    """The JSON objects of a stream; anything else goes no further."""
    found = read_messages(lambda: os.read(stream.fileno(), 65536))
    return (message for message in found if isinstance(message, dict))


def main() -> int:
    counts, *options = sys.argv[1:]
    server = subprocess.Popen(
        [sys.executable, "-m", "santa_lsp", "--stdio", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    to_server, to_editor = Pipe(server.stdin), Pipe(sys.stdout.buffer)
    serving, leaving = threading.Event(), threading.Event()

    def from_editor() -> None:
        for message in messages(sys.stdin.buffer):
            method = message.get("method")
            if method == "shutdown":
                leaving.set()
            to_server.send(message)
            if method == "initialized":
                serving.set()
        assert server.stdin is not None
        server.stdin.close()

    def count() -> None:
        serving.wait()
        for number in itertools.count():
            if leaving.wait(PERIOD):
                return
            params = {"command": "santa.statistics", "arguments": []}
            request = {"method": "workspace/executeCommand", "params": params}
            to_server.send({"jsonrpc": "2.0", "id": f"{OWN}{number}", **request})

    for thread in (from_editor, count):
        threading.Thread(target=thread, daemon=True).start()
    for message in messages(server.stdout):
        if str(message.get("id", "")).startswith(OWN) and "method" not in message:
            write_whole(Path(counts), json.dumps(message["result"]))
        else:
            to_editor.send(message)
    return server.wait()


if __name__ == "__main__":
    sys.exit(main())
