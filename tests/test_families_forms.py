"""Prompt forms are found among a tokenizer's tokens, render prompts, and survive a card."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from santa_lsp.families.forms import PSM, SPM, PromptForm, find_form, find_stop_tokens

END = "<|endoftext|>"
QWEN = [END, "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>"]
STARCODER = [END, "<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>"]
SANTACODER = [END, "<fim-prefix>", "<fim-middle>", "<fim-suffix>", "<fim-pad>"]
DEEPSEEK = ["<｜end▁of▁sentence｜>", "<｜fim▁hole｜>", "<｜fim▁begin｜>", "<｜fim▁end｜>"]
SEED = ["<[end▁of▁sentence]>", "<[fim-suffix]>", "<[fim-prefix]>", "<[fim-middle]>"]
CODESTRAL = ["</s>", "[SUFFIX]", "[PREFIX]"]


def lookup(tokens: list[str]) -> Callable[[str], int | None]:
    return {token: number for number, token in enumerate(tokens, start=100)}.get


def shown(tokens: list[str], **metadata: object) -> tuple[str, str]:
    """The form's name, and its prompt for the prefix P and the suffix S."""
    form = find_form(lookup(tokens), metadata)
    assert form is not None
    names = {1: "P", 2: "S", **dict(enumerate(tokens, start=100))}
    return form.name, "".join(names[i] for i in form.assemble([1], [2]))


@pytest.mark.parametrize(
    ("tokens", "metadata", "name", "prompt"),
    [
        (QWEN, {}, "qwen", "<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>"),
        (STARCODER, {}, "starcoder", "<fim_prefix>P<fim_suffix>S<fim_middle>"),
        (STARCODER, {"fim_order": "spm"}, "starcoder", "<fim_prefix><fim_suffix>S<fim_middle>P"),
        (STARCODER, {"name": "x", "pre_tokenizer": "refact"}, "starcoder", None),
        (
            STARCODER,
            {"name": "JetBrains/Mellum-4b"},
            "mellum",
            "<fim_suffix>S<fim_prefix>P<fim_middle>",
        ),
        (
            STARCODER,
            {"pre_tokenizer": "mellum"},
            "mellum",
            "<fim_suffix>S<fim_prefix>P<fim_middle>",
        ),
        (STARCODER, {"name": "mellum", "fim_order": "spm"}, "mellum", None),
        (SANTACODER, {}, "santacoder", "<fim-prefix><fim-suffix>S<fim-middle>P"),
        (SANTACODER, {"fim_order": "psm"}, "santacoder", "<fim-prefix>P<fim-suffix>S<fim-middle>"),
        (DEEPSEEK, {}, "deepseek", "<｜fim▁begin｜>P<｜fim▁hole｜>S<｜fim▁end｜>"),
        (SEED, {}, "seed-coder", "<[fim-suffix]>S<[fim-prefix]>P<[fim-middle]>"),
        (CODESTRAL, {}, "codestral", "[SUFFIX]S[PREFIX]P"),
        (
            [END, "<PRE>", "<SUF>", "<MID>"],
            {"fim_prefix": "<PRE>", "fim_suffix": "<SUF>", "fim_middle": "<MID>"},
            "metadata",
            "<PRE>P<SUF>S<MID>",
        ),
        # A tokenizer of several spellings: what the file names counts.
        (
            [*QWEN, *STARCODER[1:]],
            {"fim_prefix": "<fim_prefix>", "fim_suffix": "<fim_suffix>"},
            "starcoder",
            "<fim_prefix>P<fim_suffix>S<fim_middle>",
        ),
    ],
)
def test_a_form_is_found_and_rendered(
    tokens: list[str], metadata: dict[str, object], name: str, prompt: str | None
) -> None:
    found = shown(tokens, **metadata)
    assert found[0] == name
    assert prompt is None or found[1] == prompt


@pytest.mark.parametrize(
    "tokens",
    [[END], QWEN[:3], ["<repo_name>", "<file_sep>", END], [END, "[PREFIX]"]],
    ids=str,
)
def test_a_model_without_all_the_tokens_sees_the_prefix_alone(tokens: list[str]) -> None:
    """A name that sounds like one does not help."""
    assert find_form(lookup(tokens), {"name": "Qwen2.5-Coder Mellum starcoder"}) is None


def test_tokens_around_files_are_found() -> None:
    form = find_form(lookup([*STARCODER, "<filename>", "<repo_name>", "<file_sep>"]), {})
    assert form is not None
    assert {part: mark.token for part, mark in form.marks.items()} == {
        "fim_prefix": "<fim_prefix>",
        "fim_suffix": "<fim_suffix>",
        "fim_middle": "<fim_middle>",
        "fim_pad": "<fim_pad>",
        "repository": "<repo_name>",
        "file": "<file_sep>",  # of two, the newer
    }
    older = find_form(lookup([*STARCODER, "<filename>"]), {})
    assert older is not None
    assert older.marks["file"].token == "<filename>"
    named = find_form(lookup([*SANTACODER, "<file>"]), {"file": "<file>"})
    assert named is not None
    assert named.marks["file"] == ("<file>", 105)


@pytest.mark.parametrize("tokens", [QWEN, STARCODER, SANTACODER, DEEPSEEK, SEED, CODESTRAL])
def test_a_card_keeps_the_form(tokens: list[str]) -> None:
    form = find_form(lookup(tokens), {})
    assert form is not None
    card = json.loads(json.dumps(form.to_json()))
    assert PromptForm.from_json(card, lookup(tokens)) == form
    assert find_form(lookup(tokens), {"prompt_format": card}) == form
    assert not any(isinstance(each, int) for each in card["tokens"].values())


@pytest.mark.parametrize("tokens", [QWEN, STARCODER, SANTACODER, DEEPSEEK, SEED, CODESTRAL])
def test_the_prefix_is_found_again_in_a_prompt(tokens: list[str]) -> None:
    form = find_form(lookup(tokens), {})
    assert form is not None
    for prefix, suffix in (([1, 2, 3], [4, 5]), ([], [4]), ([1], [])):
        prompt = form.assemble(prefix, suffix)
        assert len(prompt) == len(prefix) + len(suffix) + form.overhead
        start, end = form.prefix_bounds(prompt)
        assert prompt[start:end] == prefix
        assert form.prefix_is_last == (end == len(prompt))
    with pytest.raises(ValueError, match="not in list"):
        form.prefix_bounds([1, 2, 3])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tokens": {"fim_prefix": "<nope>"}}, "no token '<nope>'"),
        ({"order": ["prefix", "fim_suffix", "suffix"]}, "damaged"),
        ({"order": ["fim_prefix", "prefix"]}, "damaged"),
        ({"order": [*PSM, "prefix"]}, "damaged"),
        ({"order": ["hole", "prefix", "suffix"]}, "damaged"),
        ({"tokens": []}, "damaged"),
        ({"order": None}, "damaged"),
    ],
    ids=str,
)
def test_a_damaged_card_is_refused(change: dict[str, object], words: str) -> None:
    form = find_form(lookup(QWEN), {})
    assert form is not None
    with pytest.raises(ValueError, match=words):
        PromptForm.from_json({**form.to_json(), **change}, lookup(QWEN))


def test_orders_end_where_they_say() -> None:
    assert PSM[-1] == "fim_middle"
    assert SPM[-1] == "prefix"


@pytest.mark.parametrize(
    ("tokens", "ends", "expected"),
    [
        (QWEN, [], [END, "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|fim_pad|>"]),
        ([END, "<|im_end|>"], ["<|im_end|>"], [END, "<|im_end|>"]),
        ([END], [END, "<gone>"], [END]),
        (["</s>", "<s>"], [], ["</s>"]),
        (["</s>", "<eos>"], ["<eos>"], ["<eos>"]),  # it said so: "</s>" may be text
        (DEEPSEEK[:1], [], DEEPSEEK[:1]),
        (["a", "b"], [], []),
    ],
    ids=str,
)
def test_what_ends_a_completion(tokens: list[str], ends: list[str], expected: list[str]) -> None:
    form = find_form(lookup(tokens), {})
    assert list(find_stop_tokens(lookup(tokens), {"end_tokens": ends}, form)) == expected
