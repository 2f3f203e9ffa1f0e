"""pygls's document synchronisation, keeping `santa_lsp.document.Document`s."""

from __future__ import annotations

from typing import Any

from lsprotocol import types
from pygls.workspace import TextDocument, Workspace

from santa_lsp.document import Document, Encoding, Range


class OpenDocument(TextDocument):
    """Our `Document` under the interface that pygls's document synchronisation edits."""

    def __init__(self, uri: str, text: str, encoding: Encoding, **options: Any) -> None:
        self.document = Document(uri, text, language=options.get("language_id") or "")
        self._encoding = encoding
        super().__init__(uri, **options)

    @property
    def version(self) -> int | None:
        """The editor's version number."""
        return self.document.version

    @version.setter
    def version(self, version: int | None) -> None:
        self.document.version = version

    @property
    def source(self) -> str:
        """The whole text; costs a join."""
        return self.document.text

    def apply_change(self, change: types.TextDocumentContentChangeEvent) -> None:
        """Apply one of didChange's content changes."""
        range_: Range | None = None
        if isinstance(change, types.TextDocumentContentChangePartial):
            start, end = change.range.start, change.range.end
            range_ = (start.line, start.character), (end.line, end.character)
        self.document.apply(range_, change.text, self._encoding)


class OpenDocuments(Workspace):
    """pygls's workspace, holding `OpenDocument`s."""

    @property
    def encoding(self) -> Encoding:
        """The unit that `Position.character` counts on this connection."""
        return types.PositionEncodingKind(self.position_encoding).value

    def _create_text_document(
        self,
        doc_uri: str,
        source: str | None = None,
        version: int | None = None,
        language_id: str | None = None,
    ) -> TextDocument:
        if source is None:  # pygls asks for a document that is not open: one that reads the disk
            return super()._create_text_document(doc_uri)
        return OpenDocument(
            doc_uri, source, self.encoding, version=version, language_id=language_id
        )
