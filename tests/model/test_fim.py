from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from model import fim
from model.fim import FimConfig
from santa_lsp.families.forms import FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX, find_form
from santa_lsp.families.prompt import path_comment
from tests.support.forms import END, FORM, MIDDLE, PREFIX, SUFFIX

TEXT = st.text(alphabet="ab c\n\t(é😀", max_size=80)


def by_character(text: str) -> list[int]:
    return [ord(character) for character in text]


def text_of(ids: list[int]) -> str:
    return "".join(map(chr, ids))


@given(text=TEXT, seed=st.integers(), spm=st.booleans())
def test_an_example_is_the_text_in_order(text: str, seed: int, spm: bool) -> None:
    config = FimConfig(fim_rate=1, spm_rate=float(spm))
    ids = fim.example(text, "python", "a.py", by_character, FORM, END, config, random.Random(seed))
    assert ids[0] == PREFIX
    assert ids[-1] == END
    middle_at, suffix_at = ids.index(MIDDLE), ids.index(SUFFIX)
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
        fim.example("some text", "java", "A.java", by_character, FORM, END, config, rng)
        for _ in range(trials)
    ]
    permuted = [ids for ids in examples if ids[0] == PREFIX]
    spm = [ids for ids in permuted if ids[1] == SUFFIX and ids.index(MIDDLE) >= 2]

    def near(count: int, of: int, rate: float) -> bool:
        return abs(count - of * rate) <= 5 * (of * rate * (1 - rate)) ** 0.5

    assert near(len(permuted), trials, fim_rate)
    # PSM with an empty prefix looks like SPM: one cut in ten of nine characters, twice.
    assert len(spm) >= len(permuted) * spm_rate - 5 * trials**0.5
    assert len(spm) <= len(permuted) * (spm_rate + 0.2 * (1 - spm_rate)) + 5 * trials**0.5


def test_text_that_is_left_alone_ends_only_where_its_document_does() -> None:
    config = FimConfig(fim_rate=0)
    rng = random.Random(0)
    assert fim.example("ab", "python", "a.py", by_character, FORM, END, config, rng, ends=True) == [
        97,
        98,
        END,
    ]
    assert fim.example(
        "ab", "python", "a.py", by_character, FORM, END, config, rng, ends=False
    ) == [
        97,
        98,
    ]


@pytest.mark.parametrize("fim_rate", [0.0, 1.0])
def test_texts_begin_with_the_line_that_serving_begins_with(fim_rate: float) -> None:
    config = FimConfig(fim_rate, spm_rate=0, path_comment=True)
    rng, trials = random.Random(0), 1000
    named = 0
    for _ in range(trials):
        ids = fim.example("x y", "java", "a/B.java", by_character, FORM, END, config, rng)
        text = text_of([i for i in ids if i < PREFIX])
        named += text.startswith(path_comment("java", "a/B.java"))
        assert text.startswith((path_comment("java", "a/B.java"), path_comment("java", "")))
    assert abs(named / trials - fim.WITH_PATH) < 0.07  # five standard deviations


@pytest.mark.parametrize(("line_rate", "node_rate"), [(0, 0), (0.6, 0.2), (0.3, 0.7), (1, 0)])
def test_units_are_drawn_at_their_rates(line_rate: float, node_rate: float) -> None:
    rng, trials = random.Random(1), 4000
    config = FimConfig(1, 0.5, line_rate, node_rate)
    drawn = Counter(config.unit(rng) for _ in range(trials))
    rates = {"lines": line_rate, "nodes": node_rate, "characters": 1 - line_rate - node_rate}
    for unit, rate in rates.items():
        assert abs(drawn[unit] - trials * rate) <= 5 * (trials * rate * (1 - rate)) ** 0.5 + 1e-6


SENTINELS = ["<fim-prefix>", "<fim-middle>", "<fim-suffix>", "<fim-pad>", "<|endoftext|>"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    parts=st.lists(st.sampled_from([*SENTINELS, "<", "fim-prefix>", "x = 1\n", "é", " "])),
    seed=st.integers(),
)
def test_sentinels_never_come_from_text(
    small_tokenizer: Tokenizer, parts: list[str], seed: int
) -> None:
    text = "".join(parts)

    def encode(text: str) -> list[int]:
        return small_tokenizer.encode(text, add_special_tokens=False).ids

    special = {small_tokenizer.token_to_id(name) for name in SENTINELS}
    assert not special & set(encode(text))
    assert small_tokenizer.decode(encode(text)) == text
    form = find_form(small_tokenizer.token_to_id, {})
    assert form is not None
    end = small_tokenizer.token_to_id("<|endoftext|>")
    config = FimConfig(1, 0.5, 0.4, 0.3)
    ids = fim.example(text, "python", "a.py", encode, form, end, config, random.Random(seed))
    counts = Counter(i for i in ids if i in special)
    fim_ids = [form.marks[part].id for part in (FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE)]
    assert counts == dict.fromkeys([*fim_ids, end], 1)


@pytest.mark.parametrize(
    "values", [{"fim_rate": 1.1}, {"spm_rate": -0.1}, {"line_rate": 2}, {"node_rate": -1}]
)
def test_rates_out_of_range_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        FimConfig(**values)


def test_shares_of_units_are_at_most_one() -> None:
    with pytest.raises(ValueError, match="at most 1"):
        FimConfig(line_rate=0.6, node_rate=0.6)
