from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from model import fim
from model.fim import FimConfig
from santa_lsp.prompt import FimIds

#: Ids that no character has.
FIM = FimIds(prefix=-1, middle=-2, suffix=-3, pad=-4)
END = -5
TEXT = st.text(alphabet="ab c\n\t(é😀", max_size=80)


def by_character(text: str) -> list[int]:
    return [ord(character) for character in text]


def text_of(ids: list[int]) -> str:
    return "".join(map(chr, ids))


@given(text=TEXT, seed=st.integers(), unit=st.sampled_from(list(fim.CUTS)))
def test_the_parts_are_the_text(text: str, seed: int, unit: fim.Unit) -> None:
    assert "".join(fim.CUTS[unit](text, random.Random(seed))) == text


@given(text=TEXT.filter(str.strip), seed=st.integers())
def test_a_line_cut_ends_at_a_line_end_and_is_not_empty_text(text: str, seed: int) -> None:
    _, _, suffix = fim.cut_lines(text, random.Random(seed))
    assert suffix == "" or suffix.startswith("\n")


@given(text=TEXT, seed=st.integers(), spm=st.booleans())
def test_an_example_is_the_text_in_order(text: str, seed: int, spm: bool) -> None:
    config = FimConfig(fim_rate=1, spm_rate=float(spm))
    ids = fim.example(text, by_character, FIM, END, config, random.Random(seed))
    assert ids[0] == FIM.prefix
    assert ids[-1] == END
    middle_at, suffix_at = ids.index(FIM.middle), ids.index(FIM.suffix)
    after = text_of(ids[middle_at + 1 : -1])
    suffix_end = middle_at
    suffix = text_of(ids[suffix_at + 1 : suffix_end])
    prefix = text_of(ids[1:suffix_at])
    if spm:
        assert suffix_at == 1
        assert prefix == ""
    # SPM: the middle follows the prefix; PSM: the prefix stands before the suffix.
    assert prefix + after + suffix == text


@pytest.mark.parametrize(
    ("fim_rate", "spm_rate"), [(0.5, 0.5), (0.9, 0.25), (0.0, 0.5), (1.0, 1.0)]
)
def test_rates_are_what_is_asked_for(fim_rate: float, spm_rate: float) -> None:
    """Counts within five standard deviations of the binomial."""
    rng, trials = random.Random(0), 4000
    config = FimConfig(fim_rate, spm_rate)
    examples = [
        fim.example("some text", by_character, FIM, END, config, rng) for _ in range(trials)
    ]
    permuted = [ids for ids in examples if ids[0] == FIM.prefix]
    spm = [ids for ids in permuted if ids[1] == FIM.suffix and ids.index(FIM.middle) >= 2]

    def near(count: int, of: int, rate: float) -> bool:
        return abs(count - of * rate) <= 5 * (of * rate * (1 - rate)) ** 0.5

    assert near(len(permuted), trials, fim_rate)
    # PSM with an empty prefix looks like SPM: one cut in ten of nine characters, twice.
    assert len(spm) >= len(permuted) * spm_rate - 5 * trials**0.5
    assert len(spm) <= len(permuted) * (spm_rate + 0.2 * (1 - spm_rate)) + 5 * trials**0.5


def test_character_cuts_are_uniform() -> None:
    rng = random.Random(0)
    starts = [len(fim.cut_characters("x" * 99, rng)[0]) for _ in range(6000)]
    # The smaller of two uniform positions: a quarter of them lie beyond half of the text.
    assert 0.22 < sum(start >= 50 for start in starts) / 6000 < 0.28


def test_text_that_is_left_alone_ends_only_where_its_document_does() -> None:
    config = FimConfig(fim_rate=0)
    rng = random.Random(0)
    assert fim.example("ab", by_character, FIM, END, config, rng, ends=True) == [97, 98, END]
    assert fim.example("ab", by_character, FIM, END, config, rng, ends=False) == [97, 98]


def test_sentinels_never_come_from_text(small_tokenizer: Tokenizer) -> None:
    text = "<fim-prefix>a<fim-middle>b<fim-suffix>c<fim-pad>d<|endoftext|>"
    ids = small_tokenizer.encode(text).ids
    special = {
        small_tokenizer.token_to_id(f"<fim-{n}>") for n in ("prefix", "middle", "suffix", "pad")
    }
    assert not (special | {small_tokenizer.token_to_id("<|endoftext|>")}) & set(ids)
    assert small_tokenizer.decode(ids) == text


@pytest.mark.parametrize("values", [{"fim_rate": 1.1}, {"spm_rate": -0.1}, {"line_rate": 2}])
def test_rates_out_of_range_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        FimConfig(**values)
