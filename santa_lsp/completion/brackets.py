"""Open and closing brackets and quotes in a piece of text, read without a parser."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

from santa_lsp.document import AUTO_CLOSED

QUOTES = "\"'`"
BRACKETS = {opener: closer for opener, closer in AUTO_CLOSED.items() if opener not in QUOTES}
#: Characters after the cursor that are not in the way of a completion.
CLOSING = ")]}>\"'`;,:"


def outside_strings(text: str, line_prefix: str) -> Iterator[tuple[int, str]]:
    """The characters of `text` outside quotation marks, with their indices.

    `line_prefix` stands before `text` on its line, and may open a string.
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
    """The start of `suffix` that an editor has inserted to close what `typed` leaves open."""
    closing = "".join(reversed(_open_after(typed)))
    same = takewhile(lambda pair: pair[0] == pair[1], zip(closing, suffix, strict=False))
    return "".join(character for character, _ in same)


def until_closed(text: str, closer: str) -> str:
    """`text` up to where it closes the bracket or quote that `closer` has closed already."""
    if closer in QUOTES:
        return text.partition(closer)[0]
    open_: list[str] = []
    for index, character in enumerate(text):
        in_string = open_ and open_[-1] in QUOTES
        if character == closer and not in_string and open_[-1:] != [character]:
            return text[:index]
        _step(open_, character)
    return text


def _open_after(text: str) -> list[str]:
    """The closers of the brackets and quotes that `text` leaves open, the innermost last."""
    open_: list[str] = []
    for character in text:
        _step(open_, character)
    return open_


def _step(open_: list[str], character: str) -> None:
    if open_ and character == open_[-1]:
        open_.pop()
    elif character in AUTO_CLOSED and not (open_ and open_[-1] in QUOTES):
        open_.append(AUTO_CLOSED[character])
