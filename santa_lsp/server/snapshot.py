"""The text around a cursor, taken before a handler's first await, and items to insert there."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from lsprotocol import types

from santa_lsp.completion.context import CompletionContext, Trigger
from santa_lsp.document import Document, Encoding
from santa_lsp.languages import identifier
from santa_lsp.protocol.messages import InlineCompletionParams


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The context of one request, and the range that its completion replaces.

    The completion follows `lead`, the item selected in the editor's own list ("" without one).
    """

    context: CompletionContext
    range: types.Range
    lead: str
    newline: str

    def item(self, text: str, candidate: int = 0) -> types.InlineCompletionItem:
        """The item that inserts `text` with the document's own line ends."""
        shown: list[types.LSPAny] = [self.context.uri, candidate]
        return types.InlineCompletionItem(
            insert_text=(self.lead + text).replace("\n", self.newline),
            range=self.range,
            command=types.Command("Completion accepted", "santa.accepted", arguments=shown),
        )


def take(document: Document, params: InlineCompletionParams, encoding: Encoding) -> Snapshot:
    """The snapshot of one request. Positions outside the text are clamped, as LSP demands."""
    line, column = document.to_column((params.position.line, params.position.character), encoding)
    start, lead = (line, column), ""
    if (selected := params.context.selected_completion_info) is not None:
        # The editor's own list has an item selected: complete as if it had been accepted.
        wanted = (selected.range.start.line, selected.range.start.character)
        start, lead = document.to_column(wanted, encoding), selected.text
    prefix, suffix = document.window(line, column)
    if lead:
        prefix = document.window(*start)[0] + lead
    automatic = params.context.trigger_kind == types.InlineCompletionTriggerKind.Automatic
    context = _context(document, prefix, suffix, "automatic" if automatic else "invoked")
    ends = [document.to_character(each, encoding) for each in (start, (line, column))]
    return Snapshot(
        context, types.Range(*(types.Position(*end) for end in ends)), lead, document.newline
    )


def context_at(
    document: Document, position: types.Position, encoding: Encoding
) -> CompletionContext:
    """The text around a position before any request names it."""
    line, column = document.to_column((position.line, position.character), encoding)
    return _context(document, *document.window(line, column), "automatic")


def end_of_change(change: types.TextDocumentContentChangeEvent) -> types.Position | None:
    """The likely cursor position after an edit; None when the whole text was replaced."""
    if not isinstance(change, types.TextDocumentContentChangePartial):
        return None
    lines = change.text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    start = change.range.start
    if len(lines) == 1:
        # In code points: a wrong position here costs a useless prefetch, no wrong answer.
        return types.Position(start.line, start.character + len(lines[0]))
    return types.Position(start.line + len(lines) - 1, len(lines[-1]))


def _context(document: Document, prefix: str, suffix: str, trigger: Trigger) -> CompletionContext:
    return CompletionContext(
        language=identifier(document.language),
        path=_path(document.uri),
        prefix=prefix,
        suffix=suffix,
        uri=document.uri,
        version=document.version,
        trigger=trigger,
    )


def _path(uri: str) -> str:
    """The path part of a document's URI, for messages and globs; may be empty."""
    try:
        return unquote(urlsplit(uri).path)
    except ValueError:
        return uri
