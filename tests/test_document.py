"""Document: incremental edits against a naive reference, windows, positions."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from santa_lsp.document import WINDOW_GRID, Document, Encoding

ENCODINGS: tuple[Encoding, ...] = ("utf-8", "utf-16", "utf-32")

# What str.splitlines would wrongly split at, and characters of one to four UTF-8 bytes.
ODD = "\f\v\x1c\x1d\x1e\x85\u2028\u2029"
ALPHABET = ["\n", "\r\n", "\r", *ODD, "a", "b", " ", "é", "€", "𝔘", "🙂", "", "x = 1\n", "\t"]

texts = st.lists(st.sampled_from(ALPHABET), max_size=40).map("".join)
encodings = st.sampled_from(ENCODINGS)
positions = st.tuples(st.integers(0, 45), st.integers(0, 60))


# --- The reference: flat strings, one character at a time, sharing no code with the document.


def width(character: str, encoding: Encoding) -> int:
    """Code units of one character."""
    if encoding == "utf-8":
        return len(character.encode("utf-8"))
    return 2 if encoding == "utf-16" and ord(character) > 0xFFFF else 1


def line_starts(text: str) -> list[int]:
    """Offsets at which lines start."""
    return [0, *(match.end() for match in re.finditer("\r\n|\n|\r", text))]


def offset(text: str, position: tuple[int, int], encoding: Encoding) -> int:
    """Index into the text of a (line, character), clamped."""
    starts = line_starts(text)
    line, units = position
    if line >= len(starts):
        return len(text)
    index = starts[line]
    while index < len(text) and text[index] not in "\r\n":
        units -= width(text[index], encoding)
        if units < 0:
            break
        index += 1
    return index


def normalised(text: str) -> str:
    """The text with \\n as its only line end."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def check_same(document: Document, text: str) -> None:
    assert document.text == text
    assert document.line_count == len(line_starts(text))
    counts = {end: len(re.findall(f"{end}", text)) for end in ("\r\n", "(?<!\r)\n", "\r(?!\n)")}
    most = max(counts.values())
    assert counts[{"\r\n": "\r\n", "\n": "(?<!\r)\n", "\r": "\r(?!\n)"}[document.newline]] == most


# --- Edits


def random_text(rng: random.Random, length: int) -> str:
    return "".join(rng.choices(ALPHABET, k=length))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_10_000_random_edits_never_differ_from_the_reference(encoding: Encoding) -> None:
    rng = random.Random(f"edits {encoding}")
    edits = 0
    while edits < 10_000:
        text = random_text(rng, rng.randrange(60))
        document = Document("file:///a", text)
        for _ in range(100):
            if rng.random() < 0.02:
                range_ = None
                new = random_text(rng, rng.randrange(60))
                text = new
            else:
                line, character = rng.randrange(-1, 12), rng.randrange(0, 12)
                line = max(0, line)
                size = rng.choice([0, 0, 1, 3])
                end = (line + rng.choice([0, 0, 0, 1, 2]), character + size - rng.randrange(2))
                range_ = ((line, character), (end[0], max(0, end[1])))
                new = random_text(rng, rng.choice([0, 1, 1, 2, 6]))
                start, stop = sorted(offset(text, each, encoding) for each in range_)
                text = text[:start] + new + text[stop:]
            document.apply(range_, new, encoding)
            check_same(document, text)
            edits += 1
            if len(text) > 300:
                text = text[:150]
                document.apply(None, text)


@given(texts, texts, positions, positions, encodings)
def test_any_edit_equals_the_reference(
    text: str,
    new: str,
    start: tuple[int, int],
    end: tuple[int, int],
    encoding: Encoding,
) -> None:
    document = Document("file:///a", text)
    document.apply((start, end), new, encoding)
    first, last = sorted(offset(text, each, encoding) for each in (start, end))
    check_same(document, text[:first] + new + text[last:])


@pytest.mark.parametrize(
    ("text", "range_", "new", "expected", "lines"),
    [
        ("a\rx\nb", ((1, 0), (1, 1)), "", "a\r\nb", 2),  # the deletion joins \r and \n
        ("a\rb", ((1, 0), (1, 0)), "\n", "a\r\nb", 2),  # so does the insertion
        ("a\nb", ((0, 1), (0, 1)), "\r", "a\r\nb", 2),
        ("a\r\nb", ((0, 1), (1, 0)), "\r", "a\rb", 2),
        ("a\r\nb", ((0, 2), (0, 2)), "x", "ax\r\nb", 2),  # between \r and \n: before both
        ("a\r\nb", ((0, 9), (1, 9)), "", "a", 1),
        ("a\n", ((1, 0), (1, 0)), "b", "a\nb", 2),
        ("a", ((5, 5), (9, 0)), "\n", "a\n", 2),  # past the end
        ("abc", ((0, 2), (0, 1)), "x", "axc", 1),  # inverted
        ("", ((0, 0), (0, 0)), "", "", 1),
        ("a\fb\u2028c\x85d\n", ((0, 6), (0, 7)), "X", "a\fb\u2028c\x85X\n", 2),
    ],
)
def test_edits_at_the_edges(
    text: str,
    range_: tuple[tuple[int, int], tuple[int, int]],
    new: str,
    expected: str,
    lines: int,
) -> None:
    document = Document("file:///a", text)
    document.apply(range_, new, "utf-16")
    assert (document.text, document.line_count) == (expected, lines)


def test_two_halves_of_a_surrogate_pair_become_one_character() -> None:
    document = Document("file:///a", "x\ud83dy")
    document.apply(((0, 2), (0, 3)), "\ude42", "utf-16")
    assert document.text == "x\N{SLIGHTLY SMILING FACE}"
    assert document.to_column((0, 3), "utf-16") == (0, 2)


def test_half_a_pair_never_reaches_the_model() -> None:
    prefix, suffix = Document("file:///a", "x\ud83dy\ude42").window(0, 2)
    assert (prefix, suffix) == ("x\ufffd", "y\ufffd")


# --- Positions


@given(texts, positions, encodings)
def test_positions_clamp_and_round_down_as_the_reference(
    text: str, position: tuple[int, int], encoding: Encoding
) -> None:
    line, column = Document("file:///a", text).to_column(position, encoding)
    assert line_starts(text)[line] + column == offset(text, position, encoding)


@given(texts, positions, encodings)
def test_positions_survive_the_round_trip(
    text: str, position: tuple[int, int], encoding: Encoding
) -> None:
    document = Document("file:///a", text)
    there = document.to_column(position, encoding)
    assert document.to_column(document.to_character(there, encoding), encoding) == there


def test_a_position_inside_a_character_means_its_start() -> None:
    document = Document("file:///a", "a🙂é")
    assert [document.to_column((0, n), "utf-16")[1] for n in range(6)] == [0, 1, 1, 2, 3, 3]
    assert [document.to_column((0, n), "utf-8")[1] for n in range(9)] == [0, 1, 1, 1, 1, 2, 2, 3, 3]
    assert document.to_column((-1, 5), "utf-16") == (0, 0)
    assert document.to_column((0, -1), "utf-16") == (0, 0)


# --- Lines


def test_newline_follows_the_edits() -> None:
    document = Document("file:///a", "a\r\nb\r\nc\n")
    assert document.newline == "\r\n"
    document.apply(((0, 0), (2, 0)), "", "utf-16")
    assert document.newline == "\n"
    document.apply(None, "a\rb")
    assert document.newline == "\r"
    document.apply(None, "")
    assert document.newline == "\n"


def test_lines_have_no_line_end() -> None:
    document = Document("file:///a", "a\r\nb\rc\n")
    assert [document.line(index) for index in range(document.line_count)] == ["a", "b", "c", ""]
    for index in (4, -1):
        with pytest.raises(IndexError):
            document.line(index)


# --- Windows


@given(
    texts,
    positions,
    st.integers(0, 20),
    st.integers(0, 20),
    st.integers(1, 80),
)
def test_a_window_is_the_normalised_text_around_the_cursor(
    text: str, position: tuple[int, int], before: int, after: int, characters: int
) -> None:
    document = Document("file:///a", text)
    line, column = document.to_column(position, "utf-32")
    prefix, suffix = document.window(
        line, column, lines_before=before, lines_after=after, characters=characters
    )
    cursor = offset(text, position, "utf-32")
    left, right = normalised(text[:cursor]), normalised(text[cursor:])
    assert left.endswith(prefix)
    assert right.startswith(suffix)
    # The cursor's line is there up to the limit.
    line_prefix, line_suffix = left.rpartition("\n")[2], right.partition("\n")[0]
    assert prefix.endswith(line_prefix[-characters:])
    assert suffix.startswith(line_suffix[:characters])
    assert len(prefix) <= characters + max(1, characters // 4)
    assert len(suffix) <= characters


@settings(max_examples=50)
@given(texts, positions)
def test_an_ample_window_is_the_whole_text(text: str, position: tuple[int, int]) -> None:
    prefix, suffix = Document("file:///a", text).window(*position)
    cursor = offset(text, position, "utf-32")
    assert (prefix, suffix) == (normalised(text[:cursor]), normalised(text[cursor:]))


def test_the_window_does_not_slide_with_each_new_line() -> None:
    document = Document("file:///a", "".join(f"line {n}\n" for n in range(10 * WINDOW_GRID)))
    line = 7 * WINDOW_GRID + 3
    starts = []
    for step in range(2 * WINDOW_GRID):
        prefix, _ = document.window(line + step, 0, lines_before=3 * WINDOW_GRID)
        assert prefix.count("\n") >= 3 * WINDOW_GRID
        starts.append(prefix.partition("\n")[0])
        document.apply(((line + step, 0), (line + step, 0)), "new\n", "utf-16")
    assert starts == sorted(starts)
    assert len(set(starts)) == 3


def test_the_window_does_not_slide_with_each_character_of_a_long_line() -> None:
    document = Document("file:///a", "".join(f"{n} " for n in range(1000)))
    starts = set()
    for column in range(2000, 2200):
        prefix, _ = document.window(0, column, characters=400)
        assert 400 <= len(prefix) < 500
        starts.add(prefix[:10])
    assert len(starts) == 2


def test_a_window_of_a_line_of_20_million_characters_is_bounded() -> None:
    document = Document("file:///a", "0123456789" * 2_000_000)
    prefix, suffix = document.window(0, 10_000_000, characters=1000)
    assert 1000 <= len(prefix) < 1250
    assert prefix.endswith("456789")
    assert len(suffix) == 1000
    assert suffix.startswith("0123")


def test_a_window_does_not_read_the_rest_of_a_large_document(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    document = Document("file:///a", "some line\r\n" * 200_000)
    monkeypatch.setattr(Document, "text", property(lambda _: pytest.fail("joined everything")))
    prefix, suffix = document.window(100_000, 4)
    assert prefix.endswith("\nsome")
    assert suffix.startswith(" line\nsome")
    assert len(prefix) + len(suffix) < 20_000
    assert "\r" not in prefix + suffix
