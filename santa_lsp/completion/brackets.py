"""Brackets and quotes in a piece of text: what is open, and where something closes.

Read without a parser, so as far as one can tell from the text alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

from santa_lsp.document import AUTO_CLOSED

QUOTES = "\"'`"
BRACKETS = {opener: closer for opener, closer in AUTO_CLOSED.items() if opener not in QUOTES}
#: What may follow the cursor without being in the way of a completion.
CLOSING = ")]}>\"'`;,:"


def outside_strings(text: str, line_prefix: str) -> Iterator[tuple[int, str]]:
    """The characters of `text` that no quotation marks enclose, with their indices.

    `line_prefix` stands before it on its line and may have opened a string.
    """
    quote = ""
    start = len(line_prefix)
    for index, character in enumerate(line_prefix + text):
        if quote:
            quote = "" if character in (quote, "\n") else quote
        elif character in QUOTES:
            quote = character
        elif index >= start:
            yield index - start, character


def unclosed(text: str, line_prefix: str) -> list[str]:
    """The closing brackets that `text` still needs, the next one last."""
    needed: list[str] = []
    for _, character in outside_strings(text, line_prefix):
        if character in BRACKETS:
            needed.append(BRACKETS[character])
        elif needed and character == needed[-1]:
            needed.pop()
    return needed


def closed_by_editor(typed: str, suffix: str) -> str:
    """The start of `suffix` that an editor has put there for what `typed` has left open."""
    closing = "".join(reversed(_open_after(typed)))
    same = takewhile(lambda pair: pair[0] == pair[1], zip(closing, suffix, strict=False))
    return "".join(character for character, _ in same)


def until_closed(text: str, closer: str) -> str:
    """The start of `text` up to where it closes what has been closed already by `closer`."""
    if closer in QUOTES:
        return text.partition(closer)[0]
    open_: list[str] = []
    for index, character in enumerate(text):
        if character == closer and open_[-1:] != [character]:
            return text[:index]
        _step(open_, character)
    return text


def _open_after(text: str) -> list[str]:
    """What closes the brackets and quotes that `text` leaves open, the innermost last."""
    open_: list[str] = []
    for character in text:
        _step(open_, character)
    return open_


def _step(open_: list[str], character: str) -> None:
    if open_ and character == open_[-1]:
        open_.pop()
    elif character in AUTO_CLOSED and not (open_ and open_[-1] in QUOTES):
        open_.append(AUTO_CLOSED[character])
