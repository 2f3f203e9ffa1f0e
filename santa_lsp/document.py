"""The text of one open document, in step with the editor's and cheap to edit when large.

The text is held as a list of lines, so that the cost of a keystroke depends on the edit, not on the
document. A line ends at `\\n`, `\\r\\n` or `\\r` and nowhere else, as the LSP specification
says: `str.splitlines` also splits at form feeds, U+0085, U+2028 and others, and every position
after one of those would be wrong.

Positions come in two kinds: (line, character) as an editor counts them, in code units of the
negotiated encoding, and (line, column) with the column in code points, which index a `str`. Lines
and columns count from 0. This module knows nothing of JSON, pygls or models.
"""

from __future__ import annotations

import io
import re
from typing import Literal

#: What `Position.character` counts: bytes of UTF-8, 16-bit units of UTF-16, or code points.
Encoding = Literal["utf-8", "utf-16", "utf-32"]

#: (line, character) or (line, column), both from 0.
Position = tuple[int, int]

#: (start, end), the end exclusive.
Range = tuple[Position, Position]

#: From openers that editors close by themselves when they are typed, to their closers.
AUTO_CLOSED = {"(": ")", "[": "]", "{": "}", '"': '"', "'": "'", "`": "`"}

#: A window starts at a multiple of this many lines (or, cut inside, of a quarter of its character
#: limit), so that it stays put while its reader types: a start that slid with each new line would
#: change the whole prompt and with it everything the engine could have reused.
WINDOW_GRID = 250

_LINE_END = re.compile(r"\r\n|\r")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Document:
    """One open document. Not thread-safe: hand its text to other threads, not the document.

    `version` is the editor's; the caller of `apply` sets it. `language` is an LSP identifier.
    """

    def __init__(
        self, uri: str, text: str = "", *, language: str = "", version: int | None = None
    ) -> None:
        self.uri = uri
        self.language = language
        self.version = version
        self._set_text(text)

    @property
    def text(self) -> str:
        """The whole text, joined anew at each call: for saving and for tests, not for typing."""
        return "".join(self._lines)

    @property
    def line_count(self) -> int:
        """At least 1: a text that ends with a line end has an empty line after it."""
        return len(self._lines)

    def line(self, index: int) -> str:
        """Line `index` without its line end; IndexError when there is none."""
        if index < 0:
            raise IndexError(f"line {index} of a document")
        return _content(self._lines[index])

    @property
    def newline(self) -> str:
        """The line end used most, for text to insert; `"\\n"` when there is none."""
        return max(self._line_ends, key=lambda end: self._line_ends[end])

    def apply(self, range: Range | None, text: str, encoding: Encoding = "utf-16") -> None:
        """Replace `range` (characters in `encoding`) by `text`; None stands for the whole document.

        A position past the end of its line means that end (before the line end), one past the last
        line the end of the document, one inside a character that character's start. An inverted
        range is read the other way round. Nothing here raises: the editor has the text already.
        """
        if range is None:
            self._set_text(text)
            return
        start, end = sorted(self.to_column(position, encoding) for position in range)
        first, column = start
        last, end_column = end
        edited = self._lines[first][:column] + text + self._lines[last][end_column:]
        if first > 0 and edited.startswith("\n") and self._lines[first - 1].endswith("\r"):
            # The edit brought a \n next to the \r before it: the two are one line end now.
            first -= 1
            edited = self._lines[first] + edited
        lines = _split(edited)
        if last < len(self._lines) - 1:
            lines.pop()  # `edited` ends with its line's end here, and the next line exists already
        self._count_line_ends(self._lines[first : last + 1], -1)
        self._count_line_ends(lines, 1)
        self._lines[first : last + 1] = lines

    def to_column(self, position: Position, encoding: Encoding) -> Position:
        """(line, column in code points) of an editor's (line, character), clamped as in `apply`."""
        line, character = position
        if line >= len(self._lines):
            return len(self._lines) - 1, len(self._lines[-1])
        if line < 0 or character < 0:
            return max(line, 0), 0
        content = _content(self._lines[line])
        # Every code point is one unit or more, so none beyond `character` matters.
        return line, _code_points(content[:character], character, encoding)

    def to_character(self, position: Position, encoding: Encoding) -> Position:
        """An editor's (line, character) of a (line, column in code points), clamped."""
        line, column = self.to_column(position, "utf-32")
        return line, _units(self._lines[line][:column], encoding)

    def window(
        self,
        line: int,
        column: int,
        *,
        lines_before: int = 1000,
        lines_after: int = 500,
        characters: int = 100_000,
    ) -> tuple[str, str]:
        """The text (before, after) a position in code points, every line end made `\\n`.

        Before the position come at least `lines_before` lines or `characters` characters, whichever
        is less, and at most `WINDOW_GRID` lines or a quarter of `characters` more; after it at most
        `lines_after` lines and `characters` characters. So the cursor's line is whole unless it is
        longer than `characters` on a side. Half a surrogate pair, which no tokenizer takes, becomes
        U+FFFD. The cost depends on these limits only, whatever the size of the document.
        """
        line, column = self.to_column((line, column), "utf-32")

        first = max(0, line - lines_before) // WINDOW_GRID * WINDOW_GRID
        before = [*self._lines[first:line], self._lines[line][:column]]
        quantum = max(1, characters // 4)
        surplus = sum(map(len, before)) - characters
        skipped = max(0, surplus) // quantum * quantum
        index = 0
        while skipped > len(before[index]):
            skipped -= len(before[index])
            index += 1
        before[index] = before[index][skipped:]

        after = [self._lines[line][column : column + characters]]
        room = characters - len(after[0])
        for following in self._lines[line + 1 : line + 1 + lines_after]:
            if room <= 0:
                break
            after.append(following[:room])
            room -= len(after[-1])
        return _normalise("".join(before[index:])), _normalise("".join(after))

    def _set_text(self, text: str) -> None:
        self._lines = _split(text)
        crlf = text.count("\r\n")
        # In order of preference when two are equally frequent.
        self._line_ends = {
            "\n": text.count("\n") - crlf,
            "\r\n": crlf,
            "\r": text.count("\r") - crlf,
        }

    def _count_line_ends(self, lines: list[str], sign: int) -> None:
        for line in lines:
            if end := line[len(_content(line)) :]:
                self._line_ends[end] += sign


def _split(text: str) -> list[str]:
    """Lines with their line ends; the last one, perhaps empty, has none."""
    if not text.isascii() and _SURROGATE.search(text):
        # Two edits may each bring half a pair; joined they must be one character again.
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    if "\n" not in text and "\r" not in text:
        return [text]  # most keystrokes; and a line of megabytes is not copied for nothing
    lines = list(io.StringIO(text, newline=""))  # newline="": split at \n, \r\n, \r; keep them
    if lines[-1].endswith(("\n", "\r")):
        lines.append("")
    return lines


def _content(line: str) -> str:
    """The line without its line end."""
    if line.endswith("\r\n"):
        return line[:-2]
    return line[:-1] if line.endswith(("\n", "\r")) else line


def _normalise(text: str) -> str:
    if "\r" in text:
        text = _LINE_END.sub("\n", text)
    return text if text.isascii() else _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


def _units(text: str, encoding: Encoding) -> int:
    """Length of the text in code units."""
    if encoding == "utf-32" or text.isascii():
        return len(text)
    if encoding == "utf-8":
        return len(text.encode("utf-8", "surrogatepass"))
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _code_points(text: str, units: int, encoding: Encoding) -> int:
    """How many whole code points the first `units` code units of the text hold."""
    if encoding == "utf-32" or text.isascii():
        return min(units, len(text))
    if encoding == "utf-8":
        data = text.encode("utf-8", "surrogatepass")
        while 0 < units < len(data) and data[units] & 0xC0 == 0x80:  # inside a character
            units -= 1
        return len(data[:units].decode("utf-8", "surrogatepass"))
    data = text.encode("utf-16-le", "surrogatepass")
    if 0 < units < len(data) // 2 and data[2 * units + 1] & 0xFC == 0xDC:  # a low surrogate
        units -= data[2 * units - 1] & 0xFC == 0xD8  # and its high one before it: inside a pair
    return len(data[: 2 * units].decode("utf-16-le", "surrogatepass"))
