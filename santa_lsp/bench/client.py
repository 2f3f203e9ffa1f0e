"""An editor's side of inline completion, which notes the time of each message."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from santa_lsp.bench.connection import TIMEOUT, Connection, LspError
from santa_lsp.document import Encoding

#: Code points first, because a column is then an index into a Python string.
ENCODINGS: tuple[Encoding, ...] = ("utf-32", "utf-16")

STATISTICS = "santa.statistics"


@dataclass(eq=False, slots=True)
class Call:
    """One request. Times are `time.perf_counter()` seconds; `parts` are its partial results."""

    id: int
    sent: float
    token: str | None = None
    parts: list[tuple[float, Any]] = field(default_factory=list)
    replied: float | None = None
    reply: dict[str, Any] | None = None
    cancelled: bool = False

    @property
    def milliseconds(self) -> float:
        """From sent to replied."""
        assert self.replied is not None
        return 1000 * (self.replied - self.sent)

    @property
    def first_text(self) -> float | None:
        """Milliseconds until the first text, streamed or in the reply; None without text."""
        if self.parts:
            return 1000 * (self.parts[0][0] - self.sent)
        return self.milliseconds if self.item is not None else None

    @property
    def item(self) -> dict[str, Any] | None:
        """The first inline completion item of the reply, which is a list or an object."""
        result = (self.reply or {}).get("result")
        items = result.get("items", []) if isinstance(result, dict) else result
        return items[0] if items else None


class Client(Connection):
    """`call` does not wait for the reply; `result` does."""

    def __init__(
        self, source: IO[bytes], sink: IO[bytes], process: subprocess.Popen[bytes] | None = None
    ) -> None:
        self._calls: dict[int, tuple[Call, Callable[[Call], None] | None]] = {}
        self._streams: dict[str, Call] = {}
        self._next_id = 0
        self.encoding: Encoding = "utf-16"
        self.has_statistics = False
        #: The server's name and version, its model and its state; "" while unknown.
        self.server = ""
        self.model = ""
        self.state = ""
        #: The texts of window/showMessage, in order.
        self.told: list[str] = []
        super().__init__(source, sink, process)

    def call(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        streamed: bool = False,
        then: Callable[[Call], None] | None = None,
    ) -> Call:
        """Send a request. `then` is called with the call as soon as the reply arrives."""
        self._next_id += 1
        call = Call(self._next_id, 0.0, f"stream-{self._next_id}" if streamed else None)
        if call.token is not None:
            params = {**(params or {}), "partialResultToken": call.token}
            self._streams[call.token] = call
        self._calls[call.id] = call, then
        call.sent = time.perf_counter()
        self.send({"jsonrpc": "2.0", "id": call.id, "method": method, "params": params})
        return call

    def cancel(self, call: Call) -> None:
        """Send $/cancelRequest; the server still answers the call."""
        call.cancelled = True
        self.notify("$/cancelRequest", {"id": call.id})

    def wait_for(self, call: Call, timeout: float = TIMEOUT) -> Call:
        """The call, after its reply. Raises NoReplyError."""
        return self.wait_until(
            lambda: call if call.replied is not None else None, f"the reply to {call.id}", timeout
        )

    def answered(self, call: Call, timeout: float) -> bool:
        """Whether a call is answered within so many seconds. NoReplyError of a dead server."""
        return (
            self.wait_at_most(timeout, lambda: call if call.replied is not None else None) is call
        )

    def wait_for_text(self, call: Call, timeout: float = TIMEOUT) -> bool:
        """Whether text was streamed before the reply. Raises NoReplyError."""
        return self.wait_until(
            lambda: bool(call.parts) if call.parts or call.replied is not None else None,
            f"the first text of {call.id}",
            timeout,
        )

    def result(self, call: Call, timeout: float = TIMEOUT) -> Any:
        """The result of a call. Raises LspError, NoReplyError."""
        reply = self.wait_for(call, timeout).reply
        assert reply is not None
        if "error" in reply:
            raise LspError(reply["error"])
        return reply["result"]

    def receive(self, message: dict[str, Any], arrived: float) -> None:
        method = message.get("method")
        if method == "$/progress":
            if (call := self._streams.get(message["params"]["token"])) is not None:
                call.parts.append((arrived, message["params"]["value"]))
        elif method == "window/showMessage":
            self.told.append(message["params"]["message"])
        elif method == "santa/status":
            self.state = message["params"]["state"]
            self.model = message["params"]["model"].replace("\\", "/").rpartition("/")[2]
        elif method is None and (known := self._calls.pop(message["id"], None)) is not None:
            call, then = known
            call.reply, call.replied = message, arrived
            if call.token is not None:
                del self._streams[call.token]
            if then is not None:
                then(call)

    # --- an editor's messages

    def initialize(self, options: dict[str, Any] | None = None) -> Call:
        """initialize and initialized, with the capabilities that matter for a bench."""
        capabilities = {
            "general": {"positionEncodings": list(ENCODINGS)},
            "textDocument": {"inlineCompletion": {"dynamicRegistration": False}},
            "experimental": {"santa": {"status": True}},
        }
        call = self.call(
            "initialize",
            {
                "processId": os.getpid(),
                "rootUri": None,
                "capabilities": capabilities,
                "initializationOptions": options,
            },
        )
        result = self.result(call)
        offered, info = result["capabilities"], result.get("serverInfo") or {}
        self.server = f"{info.get('name', 'a server')} {info.get('version', '')}".strip()
        self.encoding = offered.get("positionEncoding", "utf-16")
        commands = (offered.get("executeCommandProvider") or {}).get("commands", [])
        self.has_statistics = STATISTICS in commands
        self.notify("initialized", {})
        return call

    def inline_completion(
        self,
        uri: str,
        position: tuple[int, int],
        *,
        invoked: bool = False,
        then: Callable[[Call], None] | None = None,
    ) -> Call:
        """Request a completion with a partialResultToken."""
        params = {
            "textDocument": {"uri": uri},
            "position": {"line": position[0], "character": position[1]},
            "context": {"triggerKind": 1 if invoked else 2},
        }
        return self.call("textDocument/inlineCompletion", params, streamed=True, then=then)

    def execute(
        self,
        command: str,
        arguments: Sequence[Any] = (),
        then: Callable[[Call], None] | None = None,
    ) -> Call:
        """workspace/executeCommand."""
        params = {"command": command, "arguments": list(arguments)}
        return self.call("workspace/executeCommand", params, then=then)

    def statistics(self) -> dict[str, Any] | None:
        """The result of santa.statistics; None if the server does not have it."""
        if not self.has_statistics:
            return None
        counters: dict[str, Any] = self.result(self.execute(STATISTICS))
        return counters

    def close(self) -> int:
        """shutdown and exit; returns the exit status."""
        self.result(self.call("shutdown"))
        self.notify("exit")
        return self.wait()
