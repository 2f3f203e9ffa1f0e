from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santa_lsp.completion import filters as postprocess
from santa_lsp.completion.filters import Drop
from tests.conftest import at_cursor


@pytest.mark.parametrize(
    ("before", "text", "kept"),
    [
        ("def add(a, b):\n    ║", "return a + b\n\n\ndef sub(a, b):", "return a + b"),
        ("def add(a, b):\n    ║", "c = a\n    return c\nprint(1)", "c = a\n    return c"),
        ("def f(x):║", "\n    return x\n\ndef g():", "\n    return x"),
        ("def f(x):║", "\n    return x\nf(1)", "\n    return x"),
        ("def f(x):║", "\n    y = x\n\n    return y\nf(1)", "\n    y = x\n\n    return y"),
        ("function f() {║", "\n  return 1;\n}\n\nf();", "\n  return 1;\n}"),
        (
            "  if (a) {║",
            "\n    b();\n  } else {\n    c();\n  }\n  d();",
            "\n    b();\n  } else {\n    c();\n  }",
        ),
        ("    if x:\n        ║", "a = 1\n    else:\n        b = 2", "a = 1"),
        ("║", "import os\nimport sys\n\nclass A:", "import os\nimport sys"),
        ("def f():\n║", "    a = 1\n    return a\nb = 2", "    a = 1\n    return a"),
        ("foo(║", "\n    a,\n    b,\n)\nbar()", "\n    a,\n    b,\n)"),
        ("\tif x:║", "\n\t\ty()\n\tz()", "\n\t\ty()"),
    ],
)
def test_a_completion_stops_where_its_block_ends(before: str, text: str, kept: str) -> None:
    assert postprocess.cut_at_block_end(text, at_cursor(before)) == kept


@pytest.mark.parametrize(
    ("around", "text", "kept"),
    [
        ("print(║)", "x)", "x"),
        ("print(║);", "x, y);", "x, y"),
        ("foo(║, b)", "a, b)", "a"),
        ("x = ║\ny = 2\n", "1\ny = 2", "1"),
        ("function f() {║\n}\n", "\n  return 1;\n}", "\n  return 1;"),
        ("x = ║\n", "1", "1"),
        ("call(║) + 1", "a)", "a"),
        ("print(║)", "len(x)", "len(x)"),
        ("print(║);", "len(x));", "len(x)"),
        ("x = ║\n)", "f(1)", "f(1)"),
    ],
)
def test_what_stands_after_the_cursor_is_not_said_again(around: str, text: str, kept: str) -> None:
    assert postprocess.trim_suffix_overlap(text, at_cursor(around)) == kept


@pytest.mark.parametrize(
    ("around", "text", "kept"),
    [
        ("def f(║)", "self):", "self"),
        ("def f(║)", "):", ""),
        ("f(║)", "g(x), y) + 1", "g(x), y"),
        ("f(║)", "g(x) + 1", "g(x) + 1"),
        ("f(║)", "g(x)", "g(x)"),
        ("f(║)", "g(x))", "g(x)"),
        ("x = [║]", "f(1), 2]\ny = 3", "f(1), 2"),
        ("print(║)", "':)', x)", "':)', x"),
        ("print(║);", '"a" + b);', '"a" + b'),
        ('if (x == "l║)', 'ocal") {', 'ocal"'),
        ("f(║", "x)\ny", "x)\ny"),
        ("f(║ + 1)", "x)", "x)"),
    ],
)
def test_a_bracket_that_is_closed_already_is_not_closed_again(
    around: str, text: str, kept: str
) -> None:
    assert postprocess.cut_at_standing_closer(text, at_cursor(around)) == kept
    if around != "f(║ + 1)":
        assert kept == "" or postprocess.apply(text, at_cursor(around)) == kept


def test_a_completion_that_is_the_next_lines_is_dropped() -> None:
    context = at_cursor("def f():\n    ║\n    total = 0\n    return total\n")
    assert isinstance(postprocess.drop_repeated_lines("total = 0", context), Drop)
    assert isinstance(postprocess.drop_repeated_lines("total = 0\n    return total", context), Drop)
    assert postprocess.drop_repeated_lines("count = 0", context) == "count = 0"


def test_a_completion_that_is_the_line_above_is_dropped() -> None:
    context = at_cursor("self.width = width\n║")
    assert isinstance(postprocess.drop_repeated_lines("self.width = width", context), Drop)
    assert (
        postprocess.drop_repeated_lines("self.height = height", context) == "self.height = height"
    )


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1", "a = [1, 1"),
        ("total += value\ntotal += value\ntotal += value", "total += value"),
        ("util.concurrent.concurrent.concurrent", "util.concurrent"),
        ("matrix[0][0] + matrix[0][1]", "matrix[0][0] + matrix[0][1]"),
        ("a = 1\nb = 2", "a = 1\nb = 2"),
        ("----------------", "----------------"[:1]),
        ("}\n}\n}", "}\n}\n}"),
    ],
)
def test_loops_are_cut(text: str, kept: str) -> None:
    assert postprocess.cut_repetition(text, at_cursor("║")) == kept


def test_white_space_is_nothing() -> None:
    assert isinstance(postprocess.apply("  \n ", at_cursor("x║")), Drop)
    assert postprocess.apply("a  \n  ", at_cursor("x = ║")) == "a"


def test_a_lone_bracket_is_shown_only_when_asked_for() -> None:
    assert isinstance(postprocess.apply(")", at_cursor("f(║")), Drop)
    assert postprocess.apply(")", at_cursor("f(║", trigger="invoked")) == ")"


CODE = st.text(alphabet=" \n\tab=1():{},.", max_size=60)


@given(text=CODE, prefix=CODE, suffix=CODE)
def test_filters_only_cut(text: str, prefix: str, suffix: str) -> None:
    context = at_cursor(prefix + "║" + suffix)
    result = postprocess.apply(text, context)
    if isinstance(result, str):
        assert text.startswith(result)
        assert result.strip()


@given(text=CODE, cut=st.integers(0, 60), prefix=CODE, suffix=CODE)
def test_settled_text_is_never_taken_back(text: str, cut: int, prefix: str, suffix: str) -> None:
    context = at_cursor(prefix + "║" + suffix)
    shown = postprocess.settled(text[:cut], context)
    result = postprocess.apply(text, context)
    if shown:
        assert isinstance(result, str)
        assert result.startswith(shown)


def test_settled_text_comes_before_the_end() -> None:
    context = at_cursor("total = ║\n")
    assert postprocess.settled("sum(values", context) == "sum(values"


def test_lines_that_stand_after_the_cursor_are_not_settled() -> None:
    context = at_cursor("if (a) {\n  ║\n} else {\n  b();\n}\n")
    text = "c();\n  d();\n} else {\n  e"
    assert postprocess.settled(text, context) == "c();\n  d();"
