from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santa_lsp.completion.brackets import (
    closed_by_editor,
    outside_strings,
    unclosed,
    until_closed,
)


@pytest.mark.parametrize(
    ("line_prefix", "text", "outside"),
    [
        ("", "a('b)', c)", "a(, c)"),
        ("x = 'a", "b' + c", " + c"),
        ("", "'a\nb", "b"),  # a string ends with its line
        ("", '`a"b`c', "c"),
        ("print(", "x)", "x)"),
    ],
)
def test_what_no_quotation_marks_enclose(line_prefix: str, text: str, outside: str) -> None:
    found = list(outside_strings(text, line_prefix))
    assert "".join(character for _, character in found) == outside
    assert all(text[index] == character for index, character in found)


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("f(a, [b, {", ")]}"),
        ("f(a)", ""),
        ("f(a)[0", "]"),
        ("')(' + (", ")"),
        (")", ""),  # it closes what was opened before
        ("(]", ")"),
    ],
)
def test_the_brackets_that_a_text_still_needs(text: str, needed: str) -> None:
    assert unclosed(text, "") == list(needed)


@pytest.mark.parametrize(
    ("typed", "suffix", "closed"),
    [
        ("f(", ")", ")"),
        ("f([", "])\n", "])"),
        ("f([", "])]", "])"),
        ("f('", "')", "')"),
        ("f('(", "')", "')"),  # nothing is closed inside a string
        ("f(a)", ")", ""),
        ("f(", "]", ""),
        ("f([", "]", "]"),
        ("", ")", ""),
    ],
)
def test_what_an_editor_has_closed_by_itself(typed: str, suffix: str, closed: str) -> None:
    assert closed_by_editor(typed, suffix) == closed


@pytest.mark.parametrize(
    ("text", "closer", "kept"),
    [
        ("a, g(b)) + 1", ")", "a, g(b)"),
        ("a) + 1", ")", "a"),
        (") + 1", ")", ""),
        ("'a)', b)", ")", "'a)', b"),
        ("a' + b", "'", "a"),
        ("a, b", ")", "a, b"),
        ("k': v}", "'", "k"),
    ],
)
def test_a_text_ends_where_it_closes_what_is_closed_already(
    text: str, closer: str, kept: str
) -> None:
    assert until_closed(text, closer) == kept


CLOSERS = ")]}'\"`"


@given(st.text(alphabet="([{'\"a)", max_size=12))
def test_nothing_is_open_once_everything_is_closed(typed: str) -> None:
    closed = ""
    while longer := [c for c in CLOSERS if closed_by_editor(typed, closed + c) == closed + c]:
        closed += longer[0]
    assert all(closed_by_editor(typed + closed, closer) == "" for closer in CLOSERS)
