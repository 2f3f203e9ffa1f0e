"""Cuts are shown as the text with ║ before and after the middle."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import cuts
from model.cuts import Parts

TEXT = st.text(alphabet="ab c\n\t(){}:=é😀", max_size=80)
CODE = "def f(a, b):\n    if a:\n        return [a, b]\n\n    return g(b)\nx = f(1, 2)\n"


def shown(cut: Callable[[random.Random], Parts | None], draws: int = 400) -> set[str]:
    """All cuts that come up."""
    found = set()
    for seed in range(draws):
        parts = cut(random.Random(seed))
        assert parts is not None
        found.add("║".join(parts))
    return found


@given(
    text=TEXT,
    seed=st.integers(),
    unit=st.sampled_from(["characters", "lines", "nodes"]),
    language=st.sampled_from(["python", "java", "javascript"]),
)
def test_the_parts_are_the_text(text: str, seed: int, unit: cuts.Unit, language: str) -> None:
    assert "".join(cuts.cut(text, language, unit, random.Random(seed))) == text


EDITOR_CUTS = [cuts.cut_to_line_end, cuts.cut_inside_line, cuts.cut_after_bracket, cuts.cut_block]


@given(text=TEXT, seed=st.integers(), cut=st.sampled_from(EDITOR_CUTS))
def test_an_editors_cut_is_the_text_with_a_middle_or_none(
    text: str, seed: int, cut: Callable[[str, random.Random], Parts | None]
) -> None:
    parts = cut(text, random.Random(seed))
    assert parts is None or "".join(parts) == text
    if cut is cuts.cut_to_line_end:
        assert (parts is not None) == bool(text.strip())
        assert parts is None or parts[2] == "" or parts[2].startswith("\n")
    elif parts is not None:
        assert parts[1]


def test_character_cuts_are_uniform() -> None:
    rng = random.Random(0)
    starts = [len(cuts.cut_characters("x" * 99, rng)[0]) for _ in range(6000)]
    # The smaller of two uniform positions: a quarter of them lie beyond half of the text.
    assert 0.22 < sum(start >= 50 for start in starts) / 6000 < 0.28


def test_line_ends() -> None:
    found = shown(lambda rng: cuts.cut_to_line_end(CODE, rng), 2000)
    for expected in (
        CODE.replace("        return [a, b]\n", "        ║return [a, b]║\n"),
        CODE.replace("        return [a, b]\n", "║        return [a, b]║\n"),
        CODE.replace("x = f(1, 2)\n", "x = ║f(1, 2)║\n"),
        CODE.replace("    if a:\n", "    ║if a:║\n"),
    ):
        assert expected in found
    assert all(middle.count("\n") == 0 for _, middle, _ in (text.split("║") for text in found))


def test_a_statement_ends_where_its_brackets_are_closed() -> None:
    code = "x = f(\n    a,\n    b,\n)\nif (x) {\n  y()\n}\n"
    found = shown(lambda rng: cuts.cut_to_line_end(code, rng), 2000)
    for expected in (
        "║x = f(\n    a,\n    b,\n)║\nif (x) {\n  y()\n}\n",
        "x = ║f(\n    a,\n    b,\n)║\nif (x) {\n  y()\n}\n",
        "x = f(║║\n    a,\n    b,\n)\nif (x) {\n  y()\n}\n",  # it was opened before the cut
        "x = f(\n    ║a,║\n    b,\n)\nif (x) {\n  y()\n}\n",
        "x = f(\n    a,\n    b,\n)\n║if (x) {║\n  y()\n}\n",  # a block is not part of it
    ):
        assert expected in found
    never_closed = "x = f(a,\n" + "b,\n" * 20
    assert "║x = f(a,║\n" + "b,\n" * 20 in shown(
        lambda rng: cuts.cut_to_line_end(never_closed, rng)
    )


def test_inside_a_line() -> None:
    assert shown(lambda rng: cuts.cut_inside_line("\n go(1)\n", rng)) == {
        "\n ║go║(1)\n", "\n g║o║(1)\n", "\n ║go(║1)\n", "\n g║o(║1)\n", "\n go║(║1)\n",
        "\n ║go(1║)\n", "\n g║o(1║)\n", "\n go║(1║)\n", "\n go(║1║)\n",
    }  # fmt: skip
    assert cuts.cut_inside_line("alone\n", random.Random(0)) is None


def test_after_an_opening_bracket() -> None:
    assert shown(lambda rng: cuts.cut_after_bracket("f(a, [g(), 1], {)\n", rng)) == {
        "f(a, [║g(), 1║], {)\n",
    }
    assert shown(lambda rng: cuts.cut_after_bracket("if (x) {\n  go();\n}\n", rng)) == {
        "if (║x║) {\n  go();\n}\n",
        "if (x) {║\n  go();\n║}\n",
    }
    assert cuts.cut_after_bracket("f() + ')'", random.Random(0)) is None


def test_blocks() -> None:
    body = "    if a:\n        return [a, b]\n\n    return g(b)"
    assert shown(lambda rng: cuts.cut_block(CODE, rng)) == {
        CODE.replace("\n" + body, "║\n" + body + "║"),
        CODE.replace(body, "    ║" + body[4:] + "║"),
        CODE.replace("if a:\n        return [a, b]", "if a:║\n        return [a, b]║"),
        CODE.replace("        return [a, b]", "        ║return [a, b]║"),
    }
    assert cuts.cut_block("a\nb\n\n  c\n", random.Random(0)) is None
    assert cuts.cut_block("class A:\n" + "    x = 1\n" * 300, random.Random(0)) is None


def test_nodes_are_whole_and_of_every_size() -> None:
    found = shown(lambda rng: cuts.cut_nodes(CODE, "python", rng), 3000)
    for expected in (
        CODE.replace("f(a, b)", "║f║(a, b)", 1),
        CODE.replace("g(b)", "║g(b)║"),
        CODE.replace("return [a, b]", "║return [a, b]║"),
        CODE.replace("x = f(1, 2)", "║x = f(1, 2)║"),
    ):
        assert expected in found
    assert not any("║eturn" in text or "retur║" in text for text in found)


@pytest.mark.parametrize(
    ("language", "text", "middle"),
    [
        ("java", "class A {\n    int f() { return 1 + 2; }\n}\n", "1 + 2"),
        ("javascript", "const f = (é) => { return é + 2; };\n", "é + 2"),
    ],
)
def test_nodes_of_each_language(language: str, text: str, middle: str) -> None:
    cut = text.replace(middle, f"║{middle}║")
    assert cut in shown(lambda rng: cuts.cut_nodes(text, language, rng), 1000)


def test_every_editor_cut_comes_up() -> None:
    found = shown(lambda rng: cuts.cut_lines(CODE, rng), 3000)
    for cut in EDITOR_CUTS:
        assert found & shown(lambda rng, cut=cut: cut(CODE, rng), 100)
    # White space alone has no line to complete.
    assert shown(lambda rng: cuts.cut_lines(" ", rng)) == {"║║ ", "║ ║", " ║║"}
