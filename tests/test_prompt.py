from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santa_lsp.engines.ctranslate2 import CTranslate2Engine
from santa_lsp.families import prompt
from santa_lsp.families.prompt import FimIds, Order, PromptFormat

FIM = FimIds(prefix=1000, middle=1001, suffix=1002, pad=1003)


def by_character(text: str) -> list[int]:
    return [ord(character) for character in text]


def built(
    text: str,
    budget: int,
    *,
    order: Order = "psm",
    fim: FimIds | None = FIM,
    path_comment: bool = False,
) -> list[int]:
    """The prompt for the cursor of a text in a/b.py, a character a token."""
    prefix, _, suffix = text.partition("║")
    shape = PromptFormat(fim, order, path_comment)
    return shape.build(prefix, suffix, "python", "a/b.py", by_character, budget)


def test_psm_and_spm_order() -> None:
    assert built("ab║cd", 99) == [1000, 97, 98, 1002, 99, 100, 1001]
    assert built("ab║cd", 99, order="spm") == [1000, 1002, 99, 100, 1001, 97, 98]


def test_a_model_without_fim_tokens_sees_the_prefix_alone() -> None:
    assert built("ab║cd", 99, fim=None) == [97, 98]


def test_a_budget_without_room_is_an_error() -> None:
    with pytest.raises(ValueError, match="leaves no room"):
        built("a║", 3)


@pytest.mark.parametrize("order", ["psm", "spm"])
def test_the_text_before_the_cursor_is_found_in_a_prompt(order: Order) -> None:
    ids = built("ab║cd", 99, order=order)
    first, end = PromptFormat(FIM, order, False).prefix_part(ids)
    assert ids[first:end] == [97, 98]
    assert PromptFormat(None, order, False).prefix_part([97, 98]) == (0, 2)
    assert PromptFormat(FIM, order, False).prefix_part([97, 98]) == (0, 2)  # of no such format


@pytest.mark.parametrize(
    ("language", "path", "line"),
    [
        ("python", "/home/me/secret/models/query.py", "# python models/query.py\n"),
        ("java", "src/CSVRecord.java", "// java src/CSVRecord.java\n"),
        ("javascriptreact", "/c:/x/App.jsx", "// javascript x/App.jsx\n"),
        ("javascript", "C:\\app\\main.js", "// javascript app/main.js\n"),
        ("python", "setup.py", "# python setup.py\n"),
        ("java", "", "// java\n"),
    ],
)
def test_the_path_comment_says_language_folder_and_file(
    language: str, path: str, line: str
) -> None:
    assert prompt.path_comment(language, path) == line


def test_the_path_comment_comes_before_the_prefix_within_the_budget() -> None:
    shown = by_character("# python a/b.py\nx = ")
    assert built("x = ║\n", 200, path_comment=True) == [1000, *shown, 1002, 10, 1001]
    assert built("x = ║\n", 200, order="spm", path_comment=True) == [1000, 1002, 10, 1001, *shown]
    long = "x = 1\n" * 100 + "║" + "y = 2\n" * 100
    ids = built(long, 200, path_comment=True)
    assert 190 <= len(ids) <= 200
    assert "".join(map(chr, ids[1:17])) == "# python a/b.py\n"
    # Where there is hardly room for text, text is worth more.
    small = built(long, 100, path_comment=True)
    assert "python" not in "".join(map(chr, small[1:40]))


def test_both_spellings_of_the_fim_tokens_are_found() -> None:
    for dialect in prompt.DIALECTS:
        vocabulary = {
            dialect.fim_prefix_token: 7,
            dialect.fim_middle_token: 0,
            dialect.fim_suffix_token: 9,
            dialect.fim_pad_token: 3,
        }
        assert prompt.find_dialect(vocabulary.get) == (dialect, FimIds(7, 0, 9, 3))
    assert prompt.find_dialect({"<fim-prefix>": 1}.get) is None


LINES = st.lists(st.text(alphabet="ab =(é", max_size=30), max_size=60).map("\n".join)


@given(
    prefix=LINES, suffix=LINES, budget=st.integers(4, 300), order=st.sampled_from(["psm", "spm"])
)
def test_a_prompt_never_exceeds_its_budget(
    prefix: str, suffix: str, budget: int, order: Order
) -> None:
    ids = built(prefix + "║" + suffix, budget, order=order)
    assert len(ids) <= budget
    if len(prefix) + len(suffix) <= budget - 3 - prompt.STEP:
        assert len(ids) == len(prefix) + len(suffix) + 3  # nothing is left out without need


@given(text=LINES, budget=st.integers(20, 200))
def test_the_text_next_to_the_cursor_is_always_there(text: str, budget: int) -> None:
    ids = prompt.prefix_window(text, by_character, budget)
    assert text.endswith("".join(map(chr, ids)))
    assert bool(ids) == bool(text)


def test_the_window_stands_still_while_one_types(engine: CTranslate2Engine) -> None:
    prefix = "".join(f"def function_{i}(value):\n    return value + {i}\n\n\n" for i in range(200))
    typed = (
        "def total(values):\n    result = 0\n    for value in values:\n        result += value\n"
    )
    starts = []
    for length in range(len(typed) + 1):
        ids = prompt.prefix_window(prefix + typed[:length], engine.encode, 400)
        assert 400 - prompt.STEP * 4 < len(ids) <= 400
        starts.append(tuple(ids[:100]))
    assert len(set(starts)) <= 2  # it moves at most once in these 24 tokens or so


def test_segments_spell_the_ids_of_the_whole(engine: CTranslate2Engine) -> None:
    text = "".join(f"class C{i}:\n\n    def m(self):\n        return {i}\n\n" for i in range(60))
    whole = engine.encode(text)
    assert prompt.prefix_window(text, engine.encode, len(whole)) == whole


def test_a_line_without_end_is_cut_inside(engine: CTranslate2Engine) -> None:
    ids = prompt.prefix_window("x=1;" * 20_000, engine.encode, 100)
    assert 0 < len(ids) <= 100


def test_a_short_side_leaves_its_tokens_to_the_other() -> None:
    long = "x\n" * 2000
    after_all = built("║" + long, 500)
    before_all = built(long + "║", 500)
    assert len(after_all) == 500
    assert len(before_all) > 500 - prompt.STEP * prompt.CHARACTERS_PER_TOKEN


def test_text_that_spells_a_sentinel_is_text(engine: CTranslate2Engine) -> None:
    ids = engine.encode("a = '<fim-middle>' + '<|endoftext|>' + '<fim-prefix><fim-suffix>'")
    fim = engine.format.fim
    assert fim is not None
    special = {fim.prefix, fim.middle, fim.suffix, fim.pad}
    assert not special & set(ids)
    assert engine.end_of_text not in ids
