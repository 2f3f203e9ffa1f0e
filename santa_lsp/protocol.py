"""The LSP wire: pygls made to survive real editors (skeleton of the public API; body follows)."""

from __future__ import annotations

from typing import BinaryIO, NoReturn

import attrs
from lsprotocol import types
from pygls.lsp.server import LanguageServer

from santa_lsp.document import Document, Encoding


@attrs.define
class InlineCompletionParams(types.InlineCompletionParams):
    """What lsprotocol drops: handlers of textDocument/inlineCompletion are given this class."""

    partial_result_token: types.ProgressToken | None = None


class HardenedServer(LanguageServer):
    """A pygls server (same decorators) with its own message loop, documents and error replies.

    An async handler runs up to its first await before the next message is applied: take the
    snapshot of the document there.
    """

    def __init__(
        self,
        name: str,
        version: str,
        *,
        notebook_document_sync: types.NotebookDocumentSyncOptions | None = None,
    ) -> None:
        super().__init__(name, version, notebook_document_sync=notebook_document_sync)

    @property
    def encoding(self) -> Encoding:
        """What positions count on this connection; RuntimeError before initialize."""
        raise NotImplementedError

    def document(self, uri: str) -> Document | None:
        """The open document (or notebook cell) of that URI, None when it is not open."""
        raise NotImplementedError

    @property
    def documents(self) -> list[Document]:
        """Every open document, in the order they were opened."""
        raise NotImplementedError

    def start_io(self, stdin: BinaryIO | None = None, stdout: BinaryIO | None = None) -> NoReturn:
        """Serve stdin/stdout, then leave the process (0 after shutdown, otherwise 1)."""
        raise NotImplementedError

    def start_tcp(self, host: str, port: int) -> NoReturn:
        """Serve the first connection made to HOST:PORT, then leave the process as start_io does."""
        raise NotImplementedError
