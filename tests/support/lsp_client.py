"""A raw client for tests that look at the very bytes, on the package's own connection.

Everything blocks with a timeout, so a test that goes wrong fails instead of hanging:

    with LspClient.start([sys.executable, "-m", "santa_lsp", "--stdio"]) as client:
        client.initialize()
        client.open("file:///a.py", "def add(a, b):\\n    return ")
        items = client.request("textDocument/inlineCompletion", {...})
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from santa_lsp.bench.connection import TIMEOUT, Connection, LspError, frame

__all__ = ["TIMEOUT", "LspClient", "LspError", "frame"]


class LspClient(Connection):
    """One session with a server.

    `notifications` holds everything the server sent unasked, its requests too, in order, as whole
    messages; `replies` the replies by id that no test has taken yet.
    """

    def __init__(
        self, source: BinaryIO, sink: BinaryIO, process: subprocess.Popen[bytes] | None = None
    ) -> None:
        self.notifications: list[dict[str, Any]] = []
        self.replies: dict[Any, list[dict[str, Any]]] = {}
        self._next_id = 0
        self._taken: dict[str, int] = {}
        self._deaf = False
        super().__init__(source, sink, process)

    @classmethod
    def connect(cls, host: str, port: int) -> LspClient:
        """Talk to a server that listens on a TCP port."""
        connection = socket.create_connection((host, port), timeout=TIMEOUT)
        connection.settimeout(None)
        return cls(connection.makefile("rb"), connection.makefile("wb"))

    # --- sending

    def send_raw(self, data: bytes) -> None:
        """Send these bytes as they are, without waiting until the server has read them."""
        self._outbox.put(data)

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

    def receive(self, message: dict[str, Any], arrived: float) -> None:
        if "method" in message:
            self.notifications.append(message)
        else:
            self.replies.setdefault(message["id"], []).append(message)

    def reply(self, msg_id: object, timeout: float = TIMEOUT) -> dict[str, Any]:
        """The next whole reply to an id (None: to a message whose id could not be read)."""
        return self.wait_until(
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

        return self.wait_until(take, method, timeout).get("params")

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

    def stop_listening(self) -> None:
        """Close our end of the server's stdout at the next message, as a half-dead client does."""
        self._deaf = True

    def _read_message(self) -> dict[str, Any] | None:
        return None if self._deaf else super()._read_message()
