"""Filters between the model and the user: an ordered list of small pure functions.

A filter takes the text generated so far and its context. It returns a start of the text to keep, or
drops the text with a reason that `santa.why` shows.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from santa_lsp.completion.brackets import BRACKETS, CLOSING, outside_strings, unclosed
from santa_lsp.completion.context import CompletionContext
from santa_lsp.languages import language, opens_block


@dataclass(frozen=True, slots=True)
class Drop:
    """Show nothing, for this reason (a clause for people)."""

    reason: str


_ONE_SPACE = re.compile(r" (\S|\Z)")

Filter = Callable[[str, CompletionContext], str | Drop]


def cut_at_block_end(text: str, context: CompletionContext) -> str:
    """End where the block that holds the cursor ends.

    That is before the first line indented less than the completion's first line. If that line (or
    the cursor's) opens a block, it is before the next line at its own level, but after the line
    that closes the block (a bracket, or a word such as `end`). A blank line ends the text too,
    unless an opened block goes on.
    """
    if "\n" not in text:
        return text
    first, *rest = text.split("\n")
    start = context.line_prefix + first
    base = _width(start)
    opened = opens_block(context.language, start)
    closers = language(context.language).block_closers
    kept, blanks = [first], 0
    for line in rest:
        if not line.strip():
            blanks += 1
            continue
        closes = line.lstrip()[0] in ")]}" or line.strip() in closers
        inside = _width(line) > base
        if _width(line) < base and start.strip():
            break
        if start.strip() and not inside and (blanks or (opened and not closes)):
            break
        kept += [""] * blanks + [line]
        blanks = 0
        if start.strip() and not inside and closes and not line.rstrip().endswith(tuple(BRACKETS)):
            break
        if not start.strip():  # the completion began with line ends: this line sets its block
            start, base = line, _width(line)
            opened = opens_block(context.language, line)
    return "\n".join(kept)


def _width(line: str) -> int:
    """Columns of leading white space."""
    return len(_indent(line).expandtabs(4))


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def trim_suffix_overlap(text: str, context: CompletionContext) -> str:
    """Remove the end of the completion that already stands after the cursor.

    On the cursor's own line any overlap counts, except a bracket that closes one of the
    completion's own: `f(║)` may become `f(g(x))`. An overlap with the lines below must hold a whole
    line of them.
    """
    rest = context.line_suffix.rstrip()
    if rest:
        length = overlap(text, rest)
        needed = unclosed(text[: len(text) - length], context.line_prefix)
        if "\n" in text or needed[-1:] == [rest[:1]]:
            return text
        return text[: len(text) - length]
    following = context.suffix.lstrip("\n")
    first_line = following.partition("\n")[0]
    if not first_line.strip():
        return text
    length = overlap(text, following)
    if length >= len(first_line) and text[: len(text) - length].endswith("\n"):
        return text[: len(text) - length].rstrip("\n")
    return text


def cut_at_standing_closer(text: str, context: CompletionContext) -> str:
    """End before the closing bracket that the editor has already put right after the cursor.

    In `def f(║)` the completion `self):` would leave `def f(self):)`.
    """
    standing = context.line_suffix.lstrip()[:1]
    if standing in BRACKETS.values():
        for index, character in outside_strings(text, context.line_prefix):
            needed = unclosed(text[:index], context.line_prefix)
            if character == standing and needed[-1:] != [standing]:
                return text[:index]
    return text


def _lines_below(context: CompletionContext) -> list[str]:
    """The lines of the window after the cursor's line."""
    return context.suffix.split("\n")[1:]


def overlap(text: str, following: str) -> int:
    """Length of the longest end of `text` that `following` starts with."""
    for length in range(min(len(text), len(following)), 0, -1):
        if following.startswith(text[-length:]):
            return length
    return 0


def drop_repeated_lines(text: str, context: CompletionContext) -> str | Drop:
    """Drop a completion that only repeats the next lines or a line above."""
    said = [line.strip() for line in text.strip().split("\n") if line.strip()]
    if not said:
        return text
    said[0] = (context.line_prefix + text.split("\n", 1)[0]).strip() or said[0]
    following = [line.strip() for line in _lines_below(context) if line.strip()]
    if following[: len(said)] == said and len("".join(said)) > 2:
        return Drop("the completion repeats the next lines")
    above = context.prefix.rsplit("\n", 3)[-3:-1]
    if len(said) == 1 and len(said[0]) > 8 and said[0] in (line.strip() for line in above):
        return Drop("the completion repeats a line above")
    return text


#: A few characters six times over, or a longer piece three times.
_REPEATED_AT_END = re.compile(r"(?:(.{1,3}?)\1{5,}|(.{4,40}?)\2{2,})\Z", re.DOTALL)


def cut_repetition(text: str, context: CompletionContext) -> str:
    """Cut a text that loops after the first time round."""
    match = _REPEATED_AT_END.search(text[-400:])
    if match:
        piece = match[1] or match[2]
        if piece.strip():
            return text[: len(text) - len(match[0]) + len(piece)]
    lines = text.split("\n")
    for index in range(1, len(lines)):
        if lines[index].strip() and lines[index] in lines[:index] and len(lines[index].strip()) > 8:
            return "\n".join(lines[:index]).rstrip("\n")
    return text


def cut_trailing_space(text: str, context: CompletionContext) -> str:
    """Cut white space at the end."""
    return text.rstrip()


def drop_blank(text: str, context: CompletionContext) -> str | Drop:
    """Drop an empty completion, and one of closing punctuation that editors type themselves."""
    if not text.strip():
        return Drop("the model has nothing to add")
    if (
        not text.strip(CLOSING + " \n\t")
        and context.trigger == "automatic"
        and len(text.strip()) < 2
    ):
        return Drop("the completion is only closing punctuation")
    return text


FILTERS: tuple[Filter, ...] = (
    cut_at_block_end,
    cut_repetition,
    cut_at_standing_closer,
    trim_suffix_overlap,
    cut_trailing_space,
    drop_blank,
    drop_repeated_lines,
)


def join(raw: str, context: CompletionContext) -> str:
    """The text to insert for a generated text, before any filter.

    Tokens begin with the space before a word. If the user has typed that space, remove it.
    """
    typed = context.line_prefix.endswith((" ", "\t"))
    return raw[1:] if typed and _ONE_SPACE.match(raw) else raw


def end(raw: str, context: CompletionContext, lines: bool) -> tuple[str, bool]:
    """The text so far, and whether it is complete: filters would cut off all that follows.

    `lines`: the text may go past the end of the cursor's line.
    """
    text = join(raw, context)
    cuts = (cut_repetition, cut_at_standing_closer)
    if any(cut(text, context) != text for cut in cuts):
        return text, True
    body = text.lstrip("\n") if lines else text
    if "\n" not in body:
        return text, False
    if not lines:
        return text.partition("\n")[0], True
    kept = cut_at_block_end(text, context)
    return text, len(kept.rstrip()) < len(text.rstrip()) or text.endswith("\n\n\n")


def finish(text: str, context: CompletionContext, cut_off: bool) -> str | Drop:
    """The text to show of a generated text; `cut_off`: a limit ended it inside its last line."""
    if cut_off and "\n" in text.strip("\n"):
        text = text[: text.rindex("\n")]
    return apply(text, context)


def apply(text: str, context: CompletionContext) -> str | Drop:
    """All filters in order."""
    for step in FILTERS:
        result = step(text, context)
        if isinstance(result, Drop):
            return result
        text = result
    return text


def settled(text: str, context: CompletionContext) -> str:
    """The start of an unfinished text that no filter will take back later.

    Holds back an end that may yet overlap the text after the cursor, repeat lines, or be trailing
    white space.
    """
    kept = apply(text, context)
    if isinstance(kept, Drop):
        return ""
    if not kept.startswith(text[: len(kept)]) or len(kept) < len(text.rstrip()):
        return kept  # a filter has cut it already: it will not grow
    held = overlap(kept, context.line_suffix.rstrip() or context.suffix.lstrip("\n"))
    kept = kept[: len(kept) - held]
    if "\n" not in kept:
        line = (context.line_prefix + kept).strip()
        near = [*context.prefix.rsplit("\n", 3)[-3:-1], *_lines_below(context)[:2]]
        if any(other.strip().startswith(line) for other in near if other.strip()):
            return ""
    else:
        # Whole lines only: the last one may still close the block, overlap, or repeat. Also without
        # lines at the end that stand after the cursor, for the text may end here.
        kept = trim_suffix_overlap(kept[: kept.rfind("\n")], context)
    return kept.rstrip()
