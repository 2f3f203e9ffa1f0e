"""A server that always has three completions, for editors that let the user choose."""

from __future__ import annotations

from lsprotocol import types

from santa_lsp.protocol.loop import Server
from santa_lsp.protocol.messages import InlineCompletionParams
from santa_lsp.protocol.transports import open_stdio
from santa_lsp.server.greeting import greet

server = Server("santa-lsp", "1")


@server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
async def inline_completion(params: InlineCompletionParams) -> types.InlineCompletionList:
    """`first()`, `second()` and `third()` at the position."""
    here = types.Range(params.position, params.position)
    items = [
        types.InlineCompletionItem(insert_text=text, range=here)
        for text in ("first()", "second()", "third()")
    ]
    return types.InlineCompletionList(items)


if __name__ == "__main__":
    server.serve(open_stdio(greet))
