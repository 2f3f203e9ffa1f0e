"""The text around a cursor, and where what is inserted there goes."""

from __future__ import annotations

import pytest
from lsprotocol import types

from santa_lsp.document import Document, Encoding
from santa_lsp.protocol.messages import InlineCompletionParams
from santa_lsp.server import snapshot
from santa_lsp.server.snapshot import Snapshot

KINDS = types.InlineCompletionTriggerKind
URI = "file:///a/b%20c.py"


def position(line: int, character: int) -> types.Position:
    return types.Position(line, character)


def taken(
    text: str,
    at: types.Position,
    encoding: Encoding = "utf-16",
    kind: KINDS = KINDS.Automatic,
    selected: types.SelectedCompletionInfo | None = None,
) -> Snapshot:
    document = Document(URI, text, language="python", version=3)
    params = InlineCompletionParams(
        context=types.InlineCompletionContext(kind, selected),
        position=at,
        text_document=types.TextDocumentIdentifier(URI),
    )
    return snapshot.take(document, params, encoding)


def test_a_snapshot_has_the_text_around_the_cursor_and_names_its_document() -> None:
    found = taken("a = 1\r\nb = 2\r\n", position(1, 2))
    context = found.context
    assert (context.prefix, context.suffix) == ("a = 1\nb ", "= 2\n")
    assert (context.uri, context.path, context.version) == (URI, "/a/b c.py", 3)
    assert (context.language, context.trigger) == ("python", "automatic")
    assert taken("a", position(0, 1), kind=KINDS.Invoked).context.trigger == "invoked"


@pytest.mark.parametrize(("encoding", "character"), [("utf-8", 5), ("utf-16", 3), ("utf-32", 2)])
def test_positions_count_in_the_encoding_of_the_connection(
    encoding: Encoding, character: int
) -> None:
    found = taken("a😀b", position(0, character), encoding)
    assert (found.context.prefix, found.context.suffix) == ("a😀", "b")
    here = position(0, character)
    assert found.range == types.Range(here, here)


def test_a_position_outside_the_text_is_clamped() -> None:
    found = taken("a\nb", position(7, 7))
    assert found.context.prefix == "a\nb"
    assert found.range.end == position(1, 1)


def test_an_item_has_the_document_s_line_ends_and_tells_which_one_was_taken() -> None:
    item = taken("a\r\nb\r\n", position(0, 1)).item("x\ny", 2)
    assert item.insert_text == "x\r\ny"
    assert item.command is not None
    assert item.command.arguments == [URI, 2]


def test_the_item_selected_in_the_editors_list_is_completed_as_if_it_were_accepted() -> None:
    whole = types.Range(position(0, 6), position(0, 9))
    selected = types.SelectedCompletionInfo(whole, "largest")
    found = taken("print(lar)", position(0, 9), selected=selected)
    assert (found.context.prefix, found.context.suffix) == ("print(largest", ")")
    item = found.item("[0]")
    assert (item.insert_text, item.range) == ("largest[0]", whole)


def test_the_context_at_a_place_of_no_request_is_an_automatic_one() -> None:
    context = snapshot.context_at(Document(URI, "ab"), position(0, 1), "utf-16")
    assert (context.prefix, context.suffix, context.trigger) == ("a", "b", "automatic")


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("x", position(2, 5)),
        ("", position(2, 4)),
        ("x\ny", position(3, 1)),
        ("x\r\n", position(3, 0)),
        ("\r", position(3, 0)),
    ],
)
def test_the_cursor_is_at_the_end_of_an_edit(text: str, end: types.Position) -> None:
    replaced = types.Range(position(2, 4), position(2, 6))
    change = types.TextDocumentContentChangePartial(range=replaced, text=text)
    assert snapshot.end_of_change(change) == end


def test_where_the_cursor_is_after_the_whole_text_was_replaced_is_not_known() -> None:
    assert snapshot.end_of_change(types.TextDocumentContentChangeWholeDocument("x")) is None


def test_a_uri_that_is_none_is_its_own_path() -> None:
    document = Document("http://[", "a")
    assert snapshot.context_at(document, position(0, 0), "utf-16").path == "http://["
