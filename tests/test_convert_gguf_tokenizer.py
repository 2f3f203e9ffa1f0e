"""Tokenizers rebuilt from GGUF metadata give the ids of the tokenizers that they were made from."""

from __future__ import annotations

import json.decoder
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Digits, PreTokenizer, Sequence, Split
from transformers.convert_slow_tokenizer import TikTokenConverter
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

from santa_lsp.convert.gguf_tokenizer import read_tokenizer
from santa_lsp.models import embedded_directory

TEXT = (embedded_directory() / "tokenizer.json").read_text(encoding="utf-8")
EMBEDDED = json.loads(TEXT)["model"]
MERGES = [
    tuple(merge if isinstance(merge, list) else merge.split(" ")) for merge in EMBEDDED["merges"]
]
CONTROL, USER_DEFINED, NORMAL, UNUSED = 3, 4, 1, 5


def split(pattern: str) -> PreTokenizer:
    last = ByteLevel(add_prefix_space=False, use_regex=False)
    return Sequence([Split(Regex(pattern), "isolated"), last])


#: As the tokenizer.json of such models has it.
PRE_TOKENIZERS = {
    "gpt-2": ByteLevel(add_prefix_space=False),
    "mellum": ByteLevel(add_prefix_space=False),
    **dict.fromkeys(
        ("smollm", "starcoder", "refact"),
        Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)]),
    ),
    "qwen2": split(PRETOKENIZE_REGEX),
    "llama-bpe": split(TikTokenConverter().pattern),
}


def tokenizer_of(pre_tokenizer: PreTokenizer, ignore_merges: bool = False) -> Tokenizer:
    tokenizer = Tokenizer(BPE(EMBEDDED["vocab"], MERGES, ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.add_special_tokens(["<|endoftext|>", "<fim-prefix>", "<fim-middle>"])
    return tokenizer


def metadata_of(pre: str, **more: Any) -> dict[str, Any]:
    tokens = sorted(EMBEDDED["vocab"], key=EMBEDDED["vocab"].get)
    special = {"<|endoftext|>", "<fim-prefix>", "<fim-middle>"}
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [CONTROL if token in special else NORMAL for token in tokens],
        "tokenizer.ggml.merges": [" ".join(merge) for merge in MERGES],
        **{f"tokenizer.ggml.{key}": value for key, value in more.items()},
    }


def texts() -> list[str]:
    """Code, and text with all that patterns tell apart."""
    source = Path(json.decoder.__file__).read_text() + Path(shutil.__file__).read_text()
    found = [source[at : at + 500] for at in range(0, len(source), 500)]
    choose = random.Random(0)
    alphabet = [
        *(
            "a",
            "B",
            "é",
            "ǅ",
            "ß",
            "漢",
            "👍🏽",
            "0",
            "9",
            "²",
            "Ⅷ",
            "'s",
            "'LL",
            "’t",
            "_",
            "{",
            "->",
        ),
        *("\n", "\r\n", "\t", " ", "  ", "\u00a0", "\u0301", "<fim-middle>", "<|endoftext|>"),
    ]
    found += ["".join(choose.choices(alphabet, k=choose.randrange(1, 30))) for _ in range(500)]
    return found


@pytest.mark.parametrize("pre", PRE_TOKENIZERS)
def test_a_rebuilt_tokenizer_gives_the_same_ids(pre: str) -> None:
    expected = tokenizer_of(PRE_TOKENIZERS[pre], ignore_merges=pre == "llama-bpe")
    found = read_tokenizer(metadata_of(pre))
    assert found.get_vocab() == expected.get_vocab()
    for special_is_text in (False, True):
        found.encode_special_tokens = expected.encode_special_tokens = special_is_text
        for text in texts():
            ids = expected.encode(text, add_special_tokens=False).ids
            assert found.encode(text, add_special_tokens=False).ids == ids
            assert found.decode(ids, skip_special_tokens=False) == text


def test_patterns_differ_where_they_should() -> None:
    """Or the test above could not tell one from another."""
    text = "x = 12345 'S):\n\n  return"
    splits = {
        pre: tuple(token for token, _ in PRE_TOKENIZERS[pre].pre_tokenize_str(text))
        for pre in ("gpt-2", "smollm", "qwen2", "llama-bpe")
    }
    assert len(set(splits.values())) == 4


@pytest.mark.parametrize(
    ("pre", "text", "pieces"),
    [
        ("seed-coder", "f(12):\n  a", "f|(|1|2|):|\n| | a"),
        ("qwen2", "f(12):\n  a", "f|(|1|2|):\n| | a"),
        ("llama-bpe", "f(1234):\n  a", "f|(|123|4|):\n| | a"),
        ("tekken", "fooBar(12)/x", "foo|Bar|(|1|2|)/|x"),
        ("deepseek-coder", "a b1\n(漢字 )", "a| b|1|\n|(|漢字| )"),
        ("dbrx", "f(1234):\n", "f|(|123|4|):\n"),
        ("stablelm2", "x12", "x|1|2"),
    ],
)
def test_text_is_split_where_models_of_that_name_split_it(pre: str, text: str, pieces: str) -> None:
    found = read_tokenizer(metadata_of(pre)).pre_tokenizer
    assert found is not None
    at = [place for _, place in found.pre_tokenize_str(text)]
    assert "|".join(text[start:end] for start, end in at) == pieces


def test_tokens_of_every_kind() -> None:
    metadata = metadata_of("gpt-2")
    tokens, kinds = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
    tokens += ["<tool>", "    ", "[PAD]"]
    kinds += [CONTROL, USER_DEFINED, UNUSED]
    found = read_tokenizer(metadata)
    added = {token.content: token.special for token in found.get_added_tokens_decoder().values()}
    assert added["<tool>"] is True
    assert added["    "] is False
    assert "[PAD]" not in added
    assert found.token_to_id("[PAD]") == len(tokens) - 1
    spaces = found.encode("x    y", add_special_tokens=False).ids
    assert found.token_to_id("    ") in spaces  # in text, and never split
    assert found.token_to_id("<tool>") in found.encode("<tool>").ids
    found.encode_special_tokens = True
    assert found.token_to_id("<tool>") not in found.encode("<tool>").ids


def test_a_first_token_is_added_where_the_file_says_so() -> None:
    end = {"bos_token_id": EMBEDDED["vocab"]["<|endoftext|>"]}
    for pre, more, added in (
        ("gpt-2", end, False),
        ("gpt-2", {**end, "add_bos_token": True}, True),
        ("llama-bpe", end, True),  # as llama.cpp does without a word
        ("llama-bpe", {**end, "add_bos_token": False}, False),
        ("llama-bpe", {}, False),
    ):
        ids = read_tokenizer(metadata_of(pre, **more)).encode("x").ids
        assert (len(ids) == 2) == added, (pre, more)
