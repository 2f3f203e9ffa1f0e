"""A small raw JSON-RPC client for a language server, for tests that look at the very bytes.

Everything blocks with a timeout, so a test that goes wrong fails instead of hanging:

    with LspClient.start([sys.executable, "-m", "santa_lsp", "--stdio"]) as client:
        client.initialize()
        client.open("file:///a.py", "def add(a, b):\\n    return ")
        items = client.request("textDocument/inlineCompletion", {...})
"""

from __future__ import annotations

import json
import queue
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, BinaryIO

TIMEOUT = 60.0  # seconds; generous, as the machine may be busy: no test may depend on it


class LspError(Exception):
    """An error reply."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(f"{error['code']}: {error['message']}")
        self.code: int = error["code"]
        self.message: str = error["message"]
        self.data: Any = error.get("data")


def frame(message: object) -> bytes:
    """The bytes of a message with its header."""
    body = json.dumps(message).encode()
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


class LspClient:
    """One session with a server.

    `answers` maps methods the server may request of us to a function from params to result; other
    requests are answered with null. `notifications` holds everything the server sent unasked,
    its requests too, in order, as whole messages.
    """

    def __init__(
        self, source: BinaryIO, sink: BinaryIO, process: subprocess.Popen[bytes] | None = None
    ) -> None:
        self.process = process
        self.answers: dict[str, Callable[[Any], Any]] = {}
        self.notifications: list[dict[str, Any]] = []
        self.replies: dict[Any, list[dict[str, Any]]] = {}
        self._source = source
        self._sink = sink
        self._stderr: list[bytes] = []
        self._next_id = 0
        self._taken: dict[str, int] = {}
        self._changed = threading.Condition()
        self._ended = False
        self._deaf = False
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threads = [self._read, self._write]
        if process is not None:
            threads.append(self._read_stderr)
        self._threads = [threading.Thread(target=target, daemon=True) for target in threads]
        for thread in self._threads:
            thread.start()

    @classmethod
    def start(
        cls, argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: str | None = None
    ) -> LspClient:
        """Start a server process and talk to its stdin and stdout."""
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

    @classmethod
    def connect(cls, host: str, port: int) -> LspClient:
        """Talk to a server that listens on a TCP port."""
        connection = socket.create_connection((host, port), timeout=TIMEOUT)
        connection.settimeout(None)
        return cls(connection.makefile("rb"), connection.makefile("wb"))

    def __enter__(self) -> LspClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    # --- sending

    def send_raw(self, data: bytes) -> None:
        """Send these bytes as they are, without waiting until the server has read them."""
        self._outbox.put(data)

    def send(self, message: object) -> None:
        """Send a JSON value with a proper header."""
        self.send_raw(frame(message))

    def notify(self, method: str, params: object = None) -> None:
        """Send a notification."""
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    def send_request(self, method: str, params: object = None, msg_id: object = None) -> Any:
        """Send a request without waiting; returns its id for `reply`, `result` or `cancel`."""
        if msg_id is None:
            self._next_id += 1
            msg_id = self._next_id
        self.send({"jsonrpc": "2.0", "id": msg_id, "method": method, "params": params})
        return msg_id

    def request(self, method: str, params: object = None, timeout: float = TIMEOUT) -> Any:
        """Send a request and wait for its result; LspError for an error reply."""
        return self.result(self.send_request(method, params), timeout)

    def cancel(self, msg_id: object) -> None:
        """Ask the server to drop a request."""
        self.notify("$/cancelRequest", {"id": msg_id})

    # --- receiving

    def reply(self, msg_id: object, timeout: float = TIMEOUT) -> dict[str, Any]:
        """The next whole reply to an id (None: to a message whose id could not be read)."""
        return self._await(
            lambda: queued.pop(0) if (queued := self.replies.get(msg_id)) else None,
            f"reply {msg_id!r}",
            timeout,
        )

    def result(self, msg_id: object, timeout: float = TIMEOUT) -> Any:
        """The result a request is answered with; LspError for an error reply."""
        reply = self.reply(msg_id, timeout)
        if "error" in reply:
            raise LspError(reply["error"])
        return reply["result"]

    def error(self, msg_id: object, timeout: float = TIMEOUT) -> int:
        """The code of the error that a request is answered with."""
        reply = self.reply(msg_id, timeout)
        assert "error" in reply, reply
        code: int = reply["error"]["code"]
        return code

    def wait_for(self, method: str, timeout: float = TIMEOUT) -> Any:
        """Params of the next notification (or server request) of that method not yet taken."""

        def take() -> dict[str, Any] | None:
            seen = [note for note in self.notifications if note["method"] == method]
            index = self._taken.get(method, 0)
            if index >= len(seen):
                return None
            self._taken[method] = index + 1
            return seen[index]

        return self._await(take, method, timeout).get("params")

    @property
    def stderr(self) -> str:
        """What the server has written to stderr so far; all of it once `wait` has returned."""
        return b"".join(self._stderr).decode("utf-8", "replace")

    # --- sessions

    def initialize(
        self,
        *,
        encodings: Sequence[str] | None = None,
        capabilities: Mapping[str, Any] | None = None,
        options: object = None,
        process_id: int | None = None,
    ) -> dict[str, Any]:
        """initialize and initialized; returns the InitializeResult."""
        capabilities = dict(capabilities or {})
        if encodings is not None:
            capabilities["general"] = {"positionEncodings": list(encodings)}
        params = {
            "processId": process_id,
            "rootUri": None,
            "capabilities": capabilities,
            "initializationOptions": options,
        }
        result: dict[str, Any] = self.request("initialize", params)
        self.notify("initialized", {})
        return result

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

    def inline_completion(
        self, uri: str, position: tuple[int, int], **extra: Any
    ) -> Any:  # the id of the request
        """Send an automatic inlineCompletion request; `extra` goes into its params."""
        params = {
            "textDocument": {"uri": uri},
            "position": {"line": position[0], "character": position[1]},
            "context": {"triggerKind": 2},
            **extra,
        }
        return self.send_request("textDocument/inlineCompletion", params)

    def close(self) -> int:
        """shutdown and exit; returns the exit status."""
        self.request("shutdown")
        self.notify("exit")
        return self.wait()

    def hang_up(self) -> None:
        """Close our end of the server's stdin once everything is sent."""
        self._outbox.put(None)

    def stop_listening(self) -> None:
        """Close our end of the server's stdout at the next message, as a half-dead client does."""
        self._deaf = True

    def wait(self, timeout: float = TIMEOUT) -> int:
        """Wait for the process to end; returns its exit status."""
        assert self.process is not None
        status = self.process.wait(timeout)
        for thread in self._threads:
            if thread is not self._threads[1]:  # the writer waits for more to send
                thread.join(timeout)
        return status

    def kill(self) -> None:
        """End the session, whatever state it is in."""
        self.hang_up()
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    # --- threads

    def _await(
        self, take: Callable[[], dict[str, Any] | None], what: str, timeout: float
    ) -> dict[str, Any]:
        deadline = time.monotonic() + timeout
        with self._changed:
            while (found := take()) is None:
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    state = "the server hung up" if self._ended else "timeout"
                    raise TimeoutError(f"{state} waiting for {what}\n{self.stderr[-4000:]}")
                self._changed.wait(left)
        return found

    def _read(self) -> None:
        try:
            self._read_messages()
        finally:  # also after stray output
            self._source.close()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _read_messages(self) -> None:
        while not self._deaf and (message := self._read_message()) is not None:
            is_request = "method" in message and "id" in message
            if is_request:
                answer = self.answers.get(message["method"], lambda _: None)(message.get("params"))
                self.send({"jsonrpc": "2.0", "id": message["id"], "result": answer})
            with self._changed:
                if "method" in message:
                    self.notifications.append(message)
                else:
                    self.replies.setdefault(message["id"], []).append(message)
                self._changed.notify_all()

    def _read_message(self) -> dict[str, Any] | None:
        """Strict on purpose: a stray byte in the server's output must fail the test."""
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
        return json.loads(body) if len(body) == length else None

    def _write(self) -> None:
        try:
            while (data := self._outbox.get()) is not None:
                self._sink.write(data)
                self._sink.flush()
            self._sink.close()
        except (OSError, ValueError):
            pass  # the server is gone; whoever waits for it notices

    def _read_stderr(self) -> None:
        assert self.process is not None
        assert self.process.stderr is not None
        while data := self.process.stderr.read1():  # type: ignore[attr-defined]
            self._stderr.append(data)
