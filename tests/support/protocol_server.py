"""The smallest server on santa_lsp.protocol, for test_protocol.py.

`python -m tests.support.protocol_server`.

`--tcp PORT` and `--ws PORT` serve a socket instead of stdio, `--debug` logs everything it can,
`--grace SECONDS` shortens the wait for a stuck event loop, `--poll SECONDS` looks at the parent
more often, `--workers N` limits pygls's thread pool.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException

import santa_lsp.protocol.loop
from santa_lsp.protocol.loop import Server
from santa_lsp.protocol.messages import InlineCompletionParams
from santa_lsp.protocol.transports import accept_tcp, accept_websocket, open_stdio

logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(name)s %(message)s")
server = Server(
    "protocol-test",
    "1",
    notebook_document_sync=types.NotebookDocumentSyncOptions(
        notebook_selector=[
            types.NotebookDocumentFilterWithNotebook(notebook="*"),
        ]
    ),
)


@server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
async def inline_completion(params: InlineCompletionParams) -> types.InlineCompletionList:
    """Reply with the text before the cursor as it was when the request came."""
    document = server.document(params.text_document.uri)
    assert document is not None
    position = params.position.line, params.position.character
    prefix, _ = document.window(*document.to_column(position, server.encoding))
    item = types.InlineCompletionItem(insert_text=f"{document.version}:{prefix}")
    if params.partial_result_token is not None:
        server.progress(types.ProgressParams(params.partial_result_token, {"items": [item]}))
    await asyncio.sleep(0.05)
    return types.InlineCompletionList(items=[item])


@server.feature("test/document")
def document(params: Any) -> dict[str, Any] | None:
    """What the server knows of a document."""
    found = server.document(params.uri)
    if found is None:
        return None
    return {
        "text": found.text,
        "version": found.version,
        "language": found.language,
        "newline": found.newline,
        "encoding": server.encoding,
        "open": [each.uri for each in server.documents],
    }


@server.feature("test/length")
def length(params: Any) -> int:
    """Code points of a document."""
    found = server.document(params.uri)
    return len(found.text) if found else -1


@server.feature("test/forever")
async def forever(_: Any) -> None:
    """Never reply; say when started and when cancelled."""
    server.protocol.notify("test/started")
    try:
        await asyncio.Event().wait()
    finally:
        server.protocol.notify("test/stopped")


@server.feature("test/busy")
def busy(params: Any) -> str:
    """Keep threads of pygls's own pool computing for ever."""

    def compute() -> None:
        while True:
            sum(range(1000))

    for _ in range(params.threads):
        server.thread_pool.submit(compute)
    return "busy"


@server.feature("test/stuck")
def stuck(_: Any) -> None:
    """Block the event loop for good, as a bug would."""
    while True:
        sum(range(1000))


@server.feature("test/fail")
async def fail(params: Any) -> None:
    """Raise with the user's text in the message, or a deliberate error."""
    if params.code:
        raise JsonRpcException("deliberate", code=params.code)
    raise ValueError(params.text)


@server.feature("test/failNotification")
def fail_notification(params: Any) -> None:
    """Raise with the user's text in the message."""
    raise ValueError(params.text)


@server.feature("test/task")
def task(params: Any) -> None:
    """Let a callback of the event loop fail with the user's text in the message."""

    def raise_it() -> None:
        raise ValueError(params.text)

    asyncio.get_running_loop().call_soon(raise_it)


@server.feature("test/unwritable")
def unwritable(_: Any) -> object:
    """Reply with something JSON cannot hold."""
    return {"value": {1, 2}}


@server.feature("test/print")
def print_(_: Any) -> str:
    """Write to stdout in every way, and let a child read stdin."""
    print("stray print")
    os.write(1, b"stray write\n")
    subprocess.run(["echo", "stray child"], check=True)
    subprocess.run(["cat"], check=True)
    return "printed"


@server.feature("test/ask")
async def ask(_: Any) -> Any:
    """Ask the client for its configuration."""
    return await server.workspace_configuration_async(
        types.ConfigurationParams([types.ConfigurationItem(section="santa")])
    )


@server.command("test.command")
async def command(text: str) -> str:
    """Echo an argument."""
    return text


@server.command("test.wait")
async def wait() -> None:
    """Never reply."""
    server.protocol.notify("test/started")
    await asyncio.Event().wait()


def main(arguments: list[str]) -> None:
    """Serve as the command line says."""
    if "--debug" in arguments:
        logging.getLogger().setLevel(logging.DEBUG)
        for name in list(logging.root.manager.loggerDict):
            logging.getLogger(name).setLevel(logging.DEBUG)
    if "--grace" in arguments:
        grace = float(arguments[arguments.index("--grace") + 1])
        santa_lsp.protocol.loop.HANG_UP_GRACE = grace
    if "--poll" in arguments:
        poll = float(arguments[arguments.index("--poll") + 1])
        santa_lsp.protocol.loop.PARENT_POLL = poll
    if "--workers" in arguments:
        server._max_workers = int(arguments[arguments.index("--workers") + 1])
    if "--tcp" in arguments:
        server.serve(accept_tcp("127.0.0.1", int(arguments[arguments.index("--tcp") + 1])))
    if "--ws" in arguments:
        server.serve(accept_websocket("127.0.0.1", int(arguments[arguments.index("--ws") + 1])))
    server.serve(open_stdio())


if __name__ == "__main__":
    main(sys.argv[1:])
