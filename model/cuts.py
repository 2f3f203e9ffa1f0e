"""Where a text is cut into prefix, middle and suffix: three units, each with its reason.

`characters`: two uniform positions, as SantaCoder (arXiv:2301.03988). `lines`: where an editor
asks for a completion and where a person would want it to stop. `nodes`: a run of siblings of the
syntax tree, at every scale from a name to a class.
"""

from __future__ import annotations

import functools
import importlib
import math
import random
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import tree_sitter

from santa_lsp import languages

Unit = Literal["characters", "lines", "nodes"]
Parts = tuple[str, str, str]

_BRACKETS = {"(": ")", "[": "]", "{": "}"}
_BRACKET = re.compile(r"[()\[\]{}]")
_TOKEN = re.compile(r"\w+|[^\w\s]")
#: Most lines that one statement is taken to have.
_STATEMENT_LINES = 8
#: A cut with a longer middle asks for more than a completion ever gives.
_MAX_MIDDLE = 2000


def cut_characters(text: str, rng: random.Random) -> Parts:
    """Two uniform character positions; any of the three parts may be empty."""
    start, end = sorted((rng.randint(0, len(text)), rng.randint(0, len(text))))
    return _cut(text, start, end)


def cut_lines(text: str, rng: random.Random) -> Parts:
    """One of the cuts below, as often as each happens in an editor, by our guess."""
    cut = rng.choices(list(_EDITOR_CUTS), list(_EDITOR_CUTS.values()))[0]
    return cut(text, rng) or cut_to_line_end(text, rng) or cut_characters(text, rng)


def cut_to_line_end(text: str, rng: random.Random) -> Parts | None:
    """From somewhere in a line to its end, or to where the brackets that it opens are closed.

    A third of the cuts start where the line's text starts, a few at the line, the others uniformly
    within its text. Nothing more is ever taken along, so a model can learn where to stop. None for
    a text without a visible character.
    """
    lines = _lines(text)
    full = [number for number, (start, end) in enumerate(lines) if text[start:end].strip()]
    if not full:
        return None
    number = rng.choice(full)
    start, end = lines[number]
    draw = rng.random()
    if draw >= 0.1:
        start += _indent(text[start:end])
    if draw >= 0.45:
        start = rng.randint(start, end)
    return _cut(text, start, _statement_end(text, start, lines[number : number + _STATEMENT_LINES]))


def cut_inside_line(text: str, rng: random.Random) -> Parts | None:
    """From somewhere in a line to the end of a later word or sign, with text left after it.

    None for a text that has only lines of one word.
    """
    lines = _lines(text)
    for line in rng.sample(lines, len(lines)):
        tokens = list(_TOKEN.finditer(text, *line))
        if len(tokens) > 1:
            end = rng.choice(tokens[:-1]).end()
            return _cut(text, rng.randint(tokens[0].start(), end - 1), end)
    return None


def cut_after_bracket(text: str, rng: random.Random) -> Parts | None:
    """From after an opening bracket to before the one that closes it.

    None if there is no pair with something in between; brackets in strings count, which only makes
    a cut a little odd.
    """
    pairs: list[tuple[int, int]] = []
    waiting: list[re.Match[str]] = []
    for bracket in _BRACKET.finditer(text):
        if bracket.group() in _BRACKETS:
            waiting.append(bracket)
        elif waiting:
            opened = waiting.pop()
            fits = _BRACKETS[opened.group()] == bracket.group()
            if fits and 0 < bracket.start() - opened.end() <= _MAX_MIDDLE:
                pairs.append((opened.end(), bracket.start()))
    return _cut(text, *rng.choice(pairs)) if pairs else None


def cut_block(text: str, rng: random.Random) -> Parts | None:
    """The lines that are indented deeper than the one above them.

    From that line's end, or from where an editor would put the cursor in the next, to the end of
    the block's last line. None if no line is followed by a deeper one.
    """
    lines = _lines(text)
    indents = [
        _indent(text[start:end]) if text[start:end].strip() else None for start, end in lines
    ]
    blocks = [
        number
        for number, (indent, following) in enumerate(pairwise(indents))
        if indent is not None and following is not None and following > indent
    ]
    for header in rng.sample(blocks, len(blocks)):
        last = header
        for number in range(header + 1, len(lines)):
            indent = indents[number]
            if indent is not None and indent <= (indents[header] or 0):
                break
            if indent is not None:
                last = number
        start, end = lines[header][1], lines[last][1]
        if end - start > _MAX_MIDDLE:
            continue
        if rng.random() < 0.5:
            start += 1 + (indents[header + 1] or 0)
        return _cut(text, start, end)
    return None


def cut_nodes(text: str, language: str, rng: random.Random) -> Parts:
    """The siblings of the syntax tree that a random stretch of text touches.

    The stretch's length is log-uniform, so names, arguments, statements and whole functions are
    all cut. Texts that a grammar does not know entirely are still trees, with errors in them.
    """
    source = text.encode()
    if not source:
        return "", "", ""
    root = _parser(language).parse(source).root_node
    length = min(len(source), round(math.exp(rng.uniform(0, math.log(len(source))))))
    start = rng.randint(0, len(source) - length)
    end = start + length
    node = root.descendant_for_byte_range(start, end) or root
    touched = [c for c in node.children if c.start_byte < end and c.end_byte > start]
    if not touched and node == root:  # white space between two statements
        if not root.children:
            return cut_characters(text, rng)
        touched = [min(root.children, key=lambda child: abs(child.start_byte - start))]
    first, last = (touched[0], touched[-1]) if touched else (node, node)
    parts = source[: first.start_byte], source[first.start_byte : last.end_byte]
    return parts[0].decode(), parts[1].decode(), source[last.end_byte :].decode()


def cut(text: str, language: str, unit: Unit, rng: random.Random) -> Parts:
    """Prefix, middle and suffix; together they are the text."""
    if unit == "nodes":
        return cut_nodes(text, language, rng)
    return cut_lines(text, rng) if unit == "lines" else cut_characters(text, rng)


_EDITOR_CUTS: dict[Callable[[str, random.Random], Parts | None], float] = {
    cut_to_line_end: 0.5,
    cut_inside_line: 0.2,
    cut_after_bracket: 0.15,
    cut_block: 0.15,
}


def _cut(text: str, start: int, end: int) -> Parts:
    return text[:start], text[start:end], text[end:]


def _lines(text: str) -> list[tuple[int, int]]:
    """Start and end of each line, its line end left out."""
    found, start = [], 0
    for line in text.split("\n"):
        found.append((start, start + len(line)))
        start += len(line) + 1
    return found


def _statement_end(text: str, start: int, lines: list[tuple[int, int]]) -> int:
    """Of the first of `lines`, from `start` on: its end, or that of the one of the next that closes
    what it opens; its own if none does. Brackets in strings count, as everywhere here.
    """
    depth = 0
    for line_start, line_end in lines:
        for bracket in _BRACKET.finditer(text, max(start, line_start), line_end):
            depth += 1 if bracket.group() in _BRACKETS else -1
        if depth <= 0:
            return line_end
        if text[line_start:line_end].rstrip().endswith("{"):
            break  # a block, which is another cut's
    return lines[0][1]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


@functools.cache
def _parser(language: str) -> tree_sitter.Parser:
    grammar = importlib.import_module(languages.language(language).grammar)
    return tree_sitter.Parser(tree_sitter.Language(grammar.language()))
