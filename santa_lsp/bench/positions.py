"""From offsets in a text (code points, lines end at \\n) to (line, character) and back."""

from __future__ import annotations

from santa_lsp.document import Document, Encoding, Position


def position_of(text: str, offset: int, encoding: Encoding) -> Position:
    """(line, character) of an offset."""
    start = text.rfind("\n", 0, offset) + 1
    line = Document("", text[start:offset])
    return text.count("\n", 0, offset), line.to_character((0, offset - start), encoding)[1]


def offset_of(text: str, position: Position, encoding: Encoding) -> int:
    """The offset of a (line, character), clamped to its line."""
    start = 0
    for _ in range(position[0]):
        start = text.find("\n", start) + 1
    end = text.find("\n", start)
    line = Document("", text[start : end if end >= 0 else len(text)])
    return start + line.to_column((0, position[1]), encoding)[1]
