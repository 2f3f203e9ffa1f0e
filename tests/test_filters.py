from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santa_lsp.completion import filters
from santa_lsp.completion.filters import Drop
from tests.support.cursor import at_cursor, check


@pytest.mark.parametrize(
    ("text", "says", "after"),
    [
        (
            "def add(a, b):\n    ║",
            "return a + b\n\n\ndef sub(a, b):",
            "def add(a, b):\n    return a + b║",
        ),
        (
            "def add(a, b):\n    ║",
            "c = a\n    return c\nprint(1)",
            "def add(a, b):\n    c = a\n    return c║",
        ),
        ("def f(x):║", "\n    return x\n\ndef g():", "def f(x):\n    return x║"),
        ("def f(x):║", "\n    return x\nf(1)", "def f(x):\n    return x║"),
        (
            "def f(x):║",
            "\n    y = x\n\n    return y\nf(1)",
            "def f(x):\n    y = x\n\n    return y║",
        ),
        ("function f() {║", "\n  return 1;\n}\n\nf();", "function f() {\n  return 1;\n}║"),
        (
            "  if (a) {║",
            "\n    b();\n  } else {\n    c();\n  }\n  d();",
            "  if (a) {\n    b();\n  } else {\n    c();\n  }║",
        ),
        (
            "    if x:\n        ║",
            "a = 1\n    else:\n        b = 2",
            "    if x:\n        a = 1║",
        ),
        ("║", "import os\nimport sys\n\nclass A:", "import os\nimport sys║"),
        (
            "def f():\n║",
            "    a = 1\n    return a\nb = 2",
            "def f():\n    a = 1\n    return a║",
        ),
        ("foo(║", "\n    a,\n    b,\n)\nbar()", "foo(\n    a,\n    b,\n)║"),
        ("\tif x:║", "\n\t\ty()\n\tz()", "\tif x:\n\t\ty()║"),
    ],
)
def test_a_completion_stops_where_its_block_ends(text: str, says: str, after: str) -> None:
    check(filters.cut_at_block_end, text, says, after)


@pytest.mark.parametrize(
    ("language", "text", "says", "after"),
    [
        ("ruby", "def f\n  x.each do║", "\n    1\n  end\n  y", "def f\n  x.each do\n    1\n  end║"),
        ("shellscript", "if true; then║", "\n  ls\nfi\nls", "if true; then\n  ls\nfi║"),
        ("lua", "for i = 1, 2 do║", "\n  f(i)\nend\ng()", "for i = 1, 2 do\n  f(i)\nend║"),
        ("python", "x = undo║", "\nend\ny", "x = undo\nend\ny║"),
    ],
)
def test_a_word_may_open_a_block_and_close_it(
    language: str, text: str, says: str, after: str
) -> None:
    check(filters.cut_at_block_end, text, says, after, language=language)


@pytest.mark.parametrize(
    ("text", "says", "after"),
    [
        ("print(║)", "x)", "print(x║)"),
        ("print(║);", "x, y);", "print(x, y║);"),
        ("foo(║, b)", "a, b)", "foo(a║, b)"),
        ("x = ║\ny = 2\n", "1\ny = 2", "x = 1║\ny = 2\n"),
        ("function f() {║\n}\n", "\n  return 1;\n}", "function f() {\n  return 1;║\n}\n"),
        ("x = ║\n", "1", "x = 1║\n"),
        ("call(║) + 1", "a)", "call(a║) + 1"),
        ("print(║)", "len(x)", "print(len(x)║)"),
        ("print(║);", "len(x));", "print(len(x)║);"),
        ("x = ║\n)", "f(1)", "x = f(1)║\n)"),
    ],
)
def test_what_stands_after_the_cursor_is_not_said_again(text: str, says: str, after: str) -> None:
    check(filters.trim_suffix_overlap, text, says, after)


@pytest.mark.parametrize(
    ("text", "says", "after"),
    [
        ("def f(║)", "self):", "def f(self║)"),
        ("def f(║)", "):", "def f(║)"),
        ("f(║)", "g(x), y) + 1", "f(g(x), y║)"),
        ("f(║)", "g(x) + 1", "f(g(x) + 1║)"),
        ("f(║)", "g(x)", "f(g(x)║)"),
        ("f(║)", "g(x))", "f(g(x)║)"),
        ("x = [║]", "f(1), 2]\ny = 3", "x = [f(1), 2║]"),
        ("print(║)", "':)', x)", "print(':)', x║)"),
        ("print(║);", '"a" + b);', 'print("a" + b║);'),
        ('if (x == "l║)', 'ocal") {', 'if (x == "local"║)'),
        ("f(║", "x)\ny", "f(x)\ny║"),
    ],
)
def test_a_bracket_that_is_closed_already_is_not_closed_again(
    text: str, says: str, after: str
) -> None:
    check(filters.cut_at_standing_closer, text, says, after)
    check(filters.apply, text, says, after)


def test_a_bracket_further_on_closes_nothing_of_the_completion() -> None:
    check(filters.cut_at_standing_closer, "f(║ + 1)", "x)", "f(x)║ + 1)")


@pytest.mark.parametrize(
    ("text", "says", "after"),
    [
        ("def f():\n    ║\n    total = 0\n", "total = 0", "def f():\n    ║\n    total = 0\n"),
        ("║\ntotal = 0\nreturn total\n", "total = 0\nreturn total", "║\ntotal = 0\nreturn total\n"),
        ("║\ntotal = 0\n", "count = 0", "count = 0║\ntotal = 0\n"),
        ("self.width = width\n║", "self.width = width", "self.width = width\n║"),
        (
            "self.width = width\n║",
            "self.height = height",
            "self.width = width\nself.height = height║",
        ),
    ],
)
def test_a_line_that_stands_next_to_the_cursor_is_not_said_again(
    text: str, says: str, after: str
) -> None:
    check(filters.drop_repeated_lines, text, says, after)


@pytest.mark.parametrize(
    ("says", "after"),
    [
        ("a = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1", "a = [1, 1║"),
        ("total += value\ntotal += value\ntotal += value", "total += value║"),
        ("util.concurrent.concurrent.concurrent", "util.concurrent║"),
        ("matrix[0][0] + matrix[0][1]", "matrix[0][0] + matrix[0][1]║"),
        ("a = 1\nb = 2", "a = 1\nb = 2║"),
        ("----------------", "-║"),
        ("}\n}\n}", "}\n}\n}║"),
    ],
)
def test_loops_are_cut(says: str, after: str) -> None:
    check(filters.cut_repetition, "║", says, after)


def test_white_space_is_nothing() -> None:
    check(filters.apply, "x║", "  \n ", "x║")
    check(filters.apply, "x = ║", "a  \n  ", "x = a║")


def test_a_lone_bracket_is_shown_only_when_requested_by_hand() -> None:
    check(filters.apply, "f(║", ")", "f(║")
    check(filters.apply, "f(║", ")", "f()║", trigger="invoked")


@pytest.mark.parametrize(
    ("text", "says", "reason"),
    [
        ("x║", "  \n ", "nothing to add"),
        ("f(║", ")", "closing punctuation"),
        ("║\ntotal = 0\n", "total = 0", "next lines"),
        ("self.width = width\n║", "self.width = width", "line above"),
    ],
)
def test_a_drop_says_why(text: str, says: str, reason: str) -> None:
    dropped = filters.apply(says, at_cursor(text))
    assert isinstance(dropped, Drop)
    assert reason in dropped.reason


CODE = st.text(alphabet=" \n\tab=1():{},.", max_size=60)


@given(text=CODE, prefix=CODE, suffix=CODE)
def test_filters_only_cut(text: str, prefix: str, suffix: str) -> None:
    context = at_cursor(prefix + "║" + suffix)
    result = filters.apply(text, context)
    if isinstance(result, str):
        assert text.startswith(result)
        assert result.strip()


@given(text=CODE, cut=st.integers(0, 60), prefix=CODE, suffix=CODE)
def test_settled_text_is_never_taken_back(text: str, cut: int, prefix: str, suffix: str) -> None:
    context = at_cursor(prefix + "║" + suffix)
    shown = filters.settled(text[:cut], context)
    result = filters.apply(text, context)
    if shown:
        assert isinstance(result, str)
        assert result.startswith(shown)


def test_settled_text_comes_before_the_end() -> None:
    check(filters.settled, "total = ║\n", "sum(values", "total = sum(values║\n")


def test_lines_that_stand_after_the_cursor_are_not_settled() -> None:
    check(
        filters.settled,
        "if (a) {\n  ║\n} else {\n  b();\n}\n",
        "c();\n  d();\n} else {\n  e",
        "if (a) {\n  c();\n  d();║\n} else {\n  b();\n}\n",
    )
