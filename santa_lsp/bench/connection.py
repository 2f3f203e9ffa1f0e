"""One end of a JSON-RPC connection to a language server: its process, its bytes, its messages.

Subclasses keep the messages: the replay's client (santa_lsp.bench.client) with their times, the
tests' client all of them.
"""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import IO, Any, Self, TypeVar

#: Seconds; generous, as the machine may be busy.
TIMEOUT = 60.0
#: Seconds that a server's stderr may take to arrive after it hung up.
LAST_WORDS = 1.0

T = TypeVar("T")


class LspError(Exception):
    """An error reply."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(f"{error['code']}: {error['message']}")
        self.code: int = error["code"]
        self.message: str = error["message"]
        self.data: Any = error.get("data")


class NoReplyError(TimeoutError):
    """The server ended, or did not answer in time. The message quotes its stderr."""


def frame(message: object) -> bytes:
    """The bytes of a message with its header."""
    body = json.dumps(message).encode()
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


class Connection(ABC):
    """Sends without blocking; a thread calls `receive` with each message and its time of arrival.

    `answers` maps methods that the server may request of us to functions from params to result;
    other requests are answered with null.
    """

    def __init__(
        self, source: IO[bytes], sink: IO[bytes], process: subprocess.Popen[bytes] | None = None
    ) -> None:
        self.process = process
        self.answers: dict[str, Callable[[Any], Any]] = {}
        self._source = source
        self._sink = sink
        self._stderr: list[bytes] = []
        self._changed = threading.Condition()
        self._ended = False
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        readers = [self._read] + ([self._read_stderr] if process is not None else [])
        self._readers = [threading.Thread(target=target, daemon=True) for target in readers]
        for thread in (*self._readers, threading.Thread(target=self._write, daemon=True)):
            thread.start()

    @classmethod
    def start(
        cls, argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: str | None = None
    ) -> Self:
        """Start a server process and talk to its stdin and stdout. Raises OSError."""
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            cwd=cwd,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        return cls(process.stdout, process.stdin, process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    # --- messages

    def send(self, message: object) -> None:
        """Send a JSON value with its header, without waiting until the server reads it."""
        self._outbox.put(frame(message))

    def notify(self, method: str, params: object = None) -> None:
        """Send a notification."""
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    @abstractmethod
    def receive(self, message: dict[str, Any], arrived: float) -> None:
        """Take a message that arrived at `time.perf_counter()` `arrived`; on the reading thread,
        which holds the lock that `wait_until` waits with."""

    def wait_until(self, take: Callable[[], T | None], what: str, timeout: float = TIMEOUT) -> T:
        """Call `take` after each message until it returns a value other than None; NoReplyError."""
        if (found := self.wait_at_most(timeout, take, what)) is None:
            raise self._no_reply("timeout", what)
        return found

    def wait_at_most(
        self, timeout: float, take: Callable[[], T | None], what: str = "a reply"
    ) -> T | None:
        """As `wait_until`, but None when so many seconds have passed."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while (found := take()) is None:
                if self._ended:
                    for reader in self._readers[1:]:
                        reader.join(LAST_WORDS)
                    raise self._no_reply("the server hung up", what)
                if (left := deadline - time.monotonic()) <= 0:
                    return None
                self._changed.wait(left)
        return found

    def _no_reply(self, state: str, what: str) -> NoReplyError:
        return NoReplyError(f"{state} waiting for {what}\n{self.stderr[-4000:]}".strip())

    @property
    def stderr(self) -> str:
        """The server's stderr so far; all of it once `wait` has returned."""
        return b"".join(self._stderr).decode("utf-8", "replace")

    # --- documents

    def open(self, uri: str, text: str, *, language: str = "python", version: int = 1) -> None:
        """Tell the server that a document is open."""
        item = {"uri": uri, "languageId": language, "version": version, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})

    def change(
        self,
        uri: str,
        version: int,
        text: str,
        start: tuple[int, int] | None = None,
        end: tuple[int, int] | None = None,
    ) -> None:
        """Replace start..end (default: an empty range at start) by text; no start: all of it."""
        change: dict[str, Any] = {"text": text}
        if start is not None:
            first, last = (
                {"line": line, "character": character} for line, character in (start, end or start)
            )
            change["range"] = {"start": first, "end": last}
        self.notify(
            "textDocument/didChange",
            {"textDocument": {"uri": uri, "version": version}, "contentChanges": [change]},
        )

    def close_document(self, uri: str) -> None:
        """Tell the server that a document is closed."""
        self.notify("textDocument/didClose", {"textDocument": {"uri": uri}})

    # --- the end

    def hang_up(self) -> None:
        """Close our end of the server's stdin after the last message."""
        self._outbox.put(None)

    def wait(self, timeout: float = TIMEOUT) -> int:
        """Wait for the process to end; returns its exit status."""
        assert self.process is not None
        status = self.process.wait(timeout)
        for thread in self._readers:
            thread.join(timeout)
        return status

    def kill(self) -> None:
        """End the session in any state."""
        self.hang_up()
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    # --- threads

    def _read(self) -> None:
        try:
            while (message := self._read_message()) is not None:
                self._take(message, time.perf_counter())
        finally:  # also after stray output
            self._source.close()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _take(self, message: dict[str, Any], arrived: float) -> None:
        if "method" in message and "id" in message:
            answer = self.answers.get(message["method"])
            result = answer(message.get("params")) if answer else None
            self.send({"jsonrpc": "2.0", "id": message["id"], "result": result})
        with self._changed:
            self.receive(message, arrived)
            self._changed.notify_all()

    def _read_message(self) -> dict[str, Any] | None:
        """Strict on purpose: a stray byte in the server's output ends the connection."""
        length = None
        while True:
            try:
                line = self._source.readline()
            except (OSError, ValueError):
                return None
            if not line:
                return None
            if line == b"\r\n":
                break
            name, _, value = line.partition(b": ")
            assert name in {b"Content-Length", b"Content-Type"}, f"stray output {line!r}"
            if name == b"Content-Length":
                length = int(value)
        assert length is not None
        body = self._source.read(length)
        if len(body) < length:
            return None
        message: dict[str, Any] = json.loads(body)
        return message

    def _write(self) -> None:
        try:
            while (data := self._outbox.get()) is not None:
                self._sink.write(data)
                self._sink.flush()
            self._sink.close()
        except (OSError, ValueError):
            pass  # the server is gone; `wait_until` notices

    def _read_stderr(self) -> None:
        assert self.process is not None
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._stderr.append(line)
