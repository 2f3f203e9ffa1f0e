"""An editor in the server's own process: real messages and documents, nothing started or patched.

For tests that look inside a session, or hand in an engine of their own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from lsprotocol import types

from santa_lsp.bench.connection import TIMEOUT, LspError
from santa_lsp.completion.engine import Engine
from santa_lsp.protocol.loop import Server
from santa_lsp.protocol.messages import InlineCompletionParams
from santa_lsp.server import snapshot
from santa_lsp.server.session import Session
from santa_lsp.server.snapshot import Snapshot
from santa_lsp.settings import Settings
from tests.support.cursor import CURSOR

URI = "file:///file.py"


async def until(condition: Callable[[], object]) -> None:
    """Let others run until the condition holds; TimeoutError if it never does."""
    async with asyncio.timeout(TIMEOUT):
        while not condition():
            await asyncio.sleep(0.001)


class Editor:
    """Talks to a server's protocol. To be used on the event loop."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._sent: list[dict[str, Any]] = []
        self._version = 0
        server.protocol.set_writer(self, include_headers=False)

    @classmethod
    async def start(cls, server: Server, **params: Any) -> Editor:
        """Initialize the server; `params` go into the request."""
        editor = cls(server)
        await editor.request("initialize", {"capabilities": {}, **params})
        editor.notify("initialized", {})
        return editor

    def write(self, body: bytes) -> None:
        """Take what the server sends; its requests are answered with null."""
        message = json.loads(body)
        self._sent.append(message)
        if "method" in message and "id" in message:
            answer = {"jsonrpc": "2.0", "id": message["id"], "result": None}
            asyncio.get_running_loop().call_soon(self.server.protocol.receive, answer)

    def close(self) -> None:
        """Part of what pygls calls a writer."""

    def told(self, method: str) -> list[Any]:
        """Params of each message of that method so far."""
        return [message["params"] for message in self._sent if message.get("method") == method]

    def notify(self, method: str, params: object) -> None:
        self.server.protocol.receive({"jsonrpc": "2.0", "method": method, "params": params})

    async def request(self, method: str, params: object = None) -> Any:
        """The result; LspError for an error reply."""
        msg_id = f"editor-{len(self._sent)}-{method}"
        call = {"jsonrpc": "2.0", "id": msg_id, "method": method, "params": params}
        self.server.protocol.receive(call)

        def replies() -> list[dict[str, Any]]:
            return [m for m in self._sent if m.get("id") == msg_id and "method" not in m]

        await until(replies)
        (reply,) = replies()
        if "error" in reply:
            raise LspError(reply["error"])
        return reply["result"]

    async def command(self, name: str, *arguments: object) -> Any:
        return await self.request(
            "workspace/executeCommand", {"command": f"santa.{name}", "arguments": arguments}
        )

    def show(self, text: str, uri: str = URI) -> None:
        """Have this text in a document; the cursor in it is left out."""
        self._version += 1
        text, version = text.replace(CURSOR, ""), self._version
        if self.server.document(uri) is None:
            item = {"uri": uri, "languageId": "python", "version": version, "text": text}
            self.notify("textDocument/didOpen", {"textDocument": item})
        else:
            identifier = {"uri": uri, "version": version}
            changes = {"textDocument": identifier, "contentChanges": [{"text": text}]}
            self.notify("textDocument/didChange", changes)

    def shut(self, uri: str = URI) -> None:
        """Close a document."""
        self.notify("textDocument/didClose", {"textDocument": {"uri": uri}})


def cursor_of(text: str) -> types.Position:
    """Where ║ stands in a text; ASCII lines only."""
    lines = text.partition(CURSOR)[0].split("\n")
    return types.Position(len(lines) - 1, len(lines[-1]))


class Desk:
    """A session, whose model is an engine of the test's, and the editor that it serves."""

    def __init__(self, editor: Editor, session: Session) -> None:
        self.editor, self.session = editor, session

    @classmethod
    async def with_engine(cls, engine: Engine, **settings: Any) -> Desk:
        """The engine loaded; no request waits for the next key unless `debounce_ms` says so."""
        desk = await cls.loading(lambda chosen: engine, **settings)
        await desk.session.load_model()
        return desk

    @classmethod
    async def loading(cls, load_engine: Callable[[Settings], Engine], **settings: Any) -> Desk:
        """Nothing is loaded yet."""
        editor = await Editor.start(Server("test", "1"))
        chosen = Settings(**{"debounce_ms": 0, **settings})
        return cls(editor, Session(editor.server, chosen, [], load_engine))

    def place(self, text: str, trigger: str = "automatic", uri: str = URI) -> Snapshot:
        """The text in the editor, and a snapshot for a request at its cursor."""
        self.editor.show(text, uri)
        document = self.editor.server.document(uri)
        assert document is not None
        kinds = types.InlineCompletionTriggerKind
        kind = kinds.Automatic if trigger == "automatic" else kinds.Invoked
        params = InlineCompletionParams(
            context=types.InlineCompletionContext(kind),
            position=cursor_of(text),
            text_document=types.TextDocumentIdentifier(uri),
        )
        return snapshot.take(document, params, self.editor.server.encoding)
