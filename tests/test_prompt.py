from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from santa_lsp.engines.ctranslate2 import CTranslate2Engine
from santa_lsp.families import prompt
from santa_lsp.families.prompt import Locate, PromptFormat
from tests.support.forms import FORM, MIDDLE, PREFIX, SUFFIX, locate_characters
from tests.support.pre_tokenizers import CODE, PRE_TOKENIZERS, tokenizer


def format_of(order: str, path_comment: bool = False) -> PromptFormat:
    return PromptFormat(FORM.with_order(order), path_comment)


def built(
    text: str,
    budget: int,
    *,
    order: str = "psm",
    path_comment: bool = False,
    suffix_budget: int | None = None,
) -> list[int]:
    """The prompt for the cursor of a text in a/b.py, a character a token."""
    prefix, _, suffix = text.partition("║")
    return format_of(order, path_comment).build(
        prefix, suffix, "python", "a/b.py", locate_characters, budget, suffix_budget
    )


def test_psm_and_spm_order() -> None:
    assert built("ab║cd", 99) == [PREFIX, 97, 98, SUFFIX, 99, 100, MIDDLE]
    assert built("ab║cd", 99, order="spm") == [PREFIX, SUFFIX, 99, 100, MIDDLE, 97, 98]


def test_a_model_without_fim_tokens_sees_the_prefix_alone() -> None:
    alone = PromptFormat(None, start_ids=(7,))
    assert alone.build("ab", "cd", "python", "a.py", locate_characters, 99) == [7, 97, 98]


def test_a_suffix_that_comes_last_is_kept_to_its_budget() -> None:
    long = "x = 1\n" * 50 + "║" + "y = 2\n" * 50
    ids = built(long, 400, suffix_budget=32)
    assert len(ids[ids.index(SUFFIX) + 1 : -1]) == 32
    assert ids.index(SUFFIX) > 300  # the prefix has what the suffix leaves


def test_a_budget_without_room_is_an_error() -> None:
    with pytest.raises(ValueError, match="leaves no room"):
        built("a║", 3)


@pytest.mark.parametrize("order", ["psm", "spm"])
def test_the_text_before_the_cursor_is_found_in_a_prompt(order: str) -> None:
    ids = built("ab║cd", 99, order=order)
    first, end = format_of(order).prefix_part(ids)
    assert ids[first:end] == [97, 98]
    assert PromptFormat(None).prefix_part([97, 98]) == (0, 2)
    assert format_of(order).prefix_part([97, 98]) == (0, 2)  # of no such format


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
    shown = locate_characters("# python a/b.py\nx = ")[0]
    assert built("x = ║\n", 200, path_comment=True) == [PREFIX, *shown, SUFFIX, 10, MIDDLE]
    assert built("x = ║\n", 200, order="spm", path_comment=True) == [
        PREFIX,
        SUFFIX,
        10,
        MIDDLE,
        *shown,
    ]
    long = "x = 1\n" * 100 + "║" + "y = 2\n" * 100
    ids = built(long, 200, path_comment=True)
    assert 190 <= len(ids) <= 200
    assert "".join(map(chr, ids[1:17])) == "# python a/b.py\n"
    # Where there is hardly room for text, text is worth more.
    small = built(long, 100, path_comment=True)
    assert "python" not in "".join(map(chr, small[1:40]))


LINES = st.lists(st.text(alphabet="ab =(é", max_size=30), max_size=60).map("\n".join)


@given(
    prefix=LINES, suffix=LINES, budget=st.integers(4, 300), order=st.sampled_from(["psm", "spm"])
)
def test_a_prompt_never_exceeds_its_budget(
    prefix: str, suffix: str, budget: int, order: str
) -> None:
    ids = built(prefix + "║" + suffix, budget, order=order)
    assert len(ids) <= budget
    if len(prefix) + len(suffix) <= budget - 3 - prompt.STEP:
        assert len(ids) == len(prefix) + len(suffix) + 3  # nothing is left out without need


@given(text=LINES, budget=st.integers(20, 200))
def test_the_text_next_to_the_cursor_is_always_there(text: str, budget: int) -> None:
    ids = prompt.prefix_window(text, locate_characters, budget)
    assert text.endswith("".join(map(chr, ids)))
    assert bool(ids) == bool(text)


def test_the_window_stands_still_while_one_types(engine: CTranslate2Engine) -> None:
    prefix = "".join(f"def function_{i}(value):\n    return value + {i}\n\n\n" for i in range(200))
    typed = (
        "def total(values):\n    result = 0\n    for value in values:\n        result += value\n"
    )
    starts = []
    for length in range(len(typed) + 1):
        ids = prompt.prefix_window(prefix + typed[:length], engine.locate, 400)
        assert 400 - prompt.STEP * 4 < len(ids) <= 400
        starts.append(tuple(ids[:100]))
    assert len(set(starts)) <= 2  # it moves at most once in these 24 tokens or so


def locate_with(name: str) -> Locate:
    def locate(text: str) -> tuple[list[int], list[int]]:
        found = tokenizer(name).encode(text, add_special_tokens=False)
        return found.ids, [start for start, _ in found.offsets]

    return locate


#: Code as it is written: short words, symbols and all kinds of line ends and indentation.
PIECES = st.lists(
    st.sampled_from(
        [
            *("):\n", "\n", "\n\n", "\n\n\n", "\n    ", "\n\t\t", "  \n", "};\n", "\r\n"),
            *(" ", "  ", "x", " = ", "self.", "value", "it's", "123", " 45", "(", ")", "é", "日本"),
            *("-> ", "=>", "\t", "# end", '"""', "{", "}", ";", "return ", "ThIs"),
        ]
    ),
    min_size=1,
    max_size=900,
).map("".join)


@settings(max_examples=60, deadline=None)
@given(text=PIECES, room=st.integers(16, 400), name=st.sampled_from(sorted(PRE_TOKENIZERS)))
def test_windows_have_the_ids_of_the_whole_text(text: str, room: int, name: str) -> None:
    """Whatever the pre-tokenizer does with a line end."""
    whole = tokenizer(name).encode(text, add_special_tokens=False).ids
    before = prompt.prefix_window(text, locate_with(name), room)
    assert len(before) <= room
    assert whole[len(whole) - len(before) :] == before
    after = prompt.suffix_window(text, locate_with(name), room)
    assert len(after) <= room
    assert whole[: len(after)] == after
    if len(whole) <= room:
        assert before == after == whole


@pytest.mark.parametrize("name", sorted(PRE_TOKENIZERS))
def test_windows_are_cut_at_line_ends_and_use_their_room(name: str) -> None:
    locate = locate_with(name)
    for length in range(len(CODE) - 300, len(CODE), 7):
        ids = prompt.prefix_window(CODE[:length], locate, 400)
        assert 400 - 3 * prompt.STEP < len(ids) <= 400
        shown = tokenizer(name).decode(ids)
        assert CODE[:length].endswith(shown)
        assert shown.startswith("\n") or CODE[: length - len(shown)].endswith("\n")


def test_a_line_without_end_is_cut_inside(engine: CTranslate2Engine) -> None:
    ids = prompt.prefix_window("x=1;" * 20_000, engine.locate, 100)
    assert 0 < len(ids) <= 100


def test_a_short_side_leaves_its_tokens_to_the_other() -> None:
    long = "x\n" * 2000
    after_all = built("║" + long, 500)
    before_all = built(long + "║", 500)
    assert len(after_all) == 500
    assert len(before_all) > 500 - prompt.STEP * prompt.CHARACTERS_PER_TOKEN


def test_text_that_spells_a_sentinel_is_text(engine: CTranslate2Engine) -> None:
    ids = engine.encode("a = '<fim-middle>' + '<|endoftext|>' + '<fim-prefix><fim-suffix>'")
    form = engine.format.form
    assert form is not None
    assert not {mark.id for mark in form.marks.values()} & set(ids)
    assert not set(engine.stop_ids) & set(ids)
