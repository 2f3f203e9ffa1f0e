"""The tokenizer of a GGUF file's metadata -> the tokenizer.json of the tokenizers library.

A GGUF file names its pre-tokenizer and does not describe it. The patterns here are those of the
models' own tokenizer.json, under the names that llama.cpp gives them (src/llama-vocab.cpp).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, pre_tokenizers, processors
from tokenizers.models import BPE

from santa_lsp.convert.errors import ConvertError

#: Of GGUF's token types: never in text, and in text but never split.
_CONTROL, _USER_DEFINED = 3, 4
_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_QWEN2 = (
    rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA3 = _QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
_SEED_CODER = (
    rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1}}| ?[^\s\p{{L}}\p{{N}}\r\n]+"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_DEEPSEEK_CODER = (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", r"\p{N}")


@dataclass(frozen=True, slots=True)
class _Split:
    """How text is split before the merges: each pattern in turn, and whether GPT-2's is last."""

    patterns: tuple[str, ...] = ()
    gpt2: bool = False
    ignore_merges: bool = False  # a pre-token that is a token is one, whatever the merges
    add_bos: bool = False  # unless the file says otherwise

    def pre_tokenizer(self) -> pre_tokenizers.PreTokenizer:
        steps = [
            # The same as the pattern of a number, under the name that models' own files have.
            pre_tokenizers.Digits(individual_digits=True)
            if pattern == r"\p{N}"
            else pre_tokenizers.Split(Regex(pattern), "isolated")
            for pattern in self.patterns
        ]
        last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=self.gpt2)
        return pre_tokenizers.Sequence([*steps, last])


_GPT2 = _Split(gpt2=True)
_STARCODER = _Split((r"\p{N}",), gpt2=True)
_SPLITS = {
    **dict.fromkeys(("gpt-2", "phi-2", "mellum", "exaone4"), _GPT2),
    **dict.fromkeys(("starcoder", "refact", "command-r", "smollm", "codeshell"), _STARCODER),
    **dict.fromkeys(("qwen2", "stablelm2", "deepseek-r1-qwen", "megrez"), _Split((_QWEN2,))),
    **dict.fromkeys(
        ("llama-bpe", "llama3", "llama-v3", "falcon3"),
        _Split((_LLAMA3,), ignore_merges=True, add_bos=True),
    ),
    **dict.fromkeys(("dbrx", "smaug-bpe"), _Split((_LLAMA3,))),
    "tekken": _Split((_TEKKEN,), ignore_merges=True, add_bos=True),
    "seed-coder": _Split((_SEED_CODER,)),
    "deepseek-coder": _Split(_DEEPSEEK_CODER),
}


def read_tokenizer(metadata: Mapping[str, Any]) -> Tokenizer:
    """Raises ConvertError for a tokenizer of another kind, or of unknown patterns."""
    if (model := metadata.get("tokenizer.ggml.model")) != "gpt2":
        raise ConvertError(
            f"the GGUF file's tokenizer is {model!r}, not a byte-level BPE (gpt2); convert the "
            "model's own checkpoint, which has a tokenizer.json"
        )
    name = metadata.get("tokenizer.ggml.pre")
    if name not in _SPLITS:
        raise ConvertError(
            f"the GGUF file's pre-tokenizer is {name!r}, which is not one of "
            f"{', '.join(_SPLITS)}; convert the model's own checkpoint, which has a tokenizer.json"
        )
    split = _SPLITS[name]
    try:
        return _build(metadata, split)
    except ConvertError:
        raise
    except Exception as error:  # tokenizers raises bare Exception
        raise ConvertError(f"the GGUF file's tokenizer is damaged ({error!r})") from error


def pre_tokenizer_name(tokenizer: Tokenizer) -> str:
    """llama.cpp's name of a tokenizer's pre-tokenizer. Raises ConvertError when it has none."""
    values = json.loads(tokenizer.to_str())
    if values["model"].get("type") == "BPE" and values.get("normalizer") is None:
        wanted = _steps(values["pre_tokenizer"])
        ignore_merges = bool(values["model"].get("ignore_merges"))
        for name, split in _SPLITS.items():
            if split.ignore_merges == ignore_merges and _steps(_json_of(split)) == wanted:
                return name
    raise ConvertError("llama.cpp has no name for the tokenizer's pre-tokenizer")


def _json_of(split: _Split) -> Any:
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = split.pre_tokenizer()
    return json.loads(tokenizer.to_str())["pre_tokenizer"]


def _steps(pre_tokenizer: Any) -> list[Any]:
    """What changes how text is split, of a pre-tokenizer's JSON."""
    if pre_tokenizer is None:
        return []
    steps = pre_tokenizer.get("pretokenizers", [pre_tokenizer])
    return [{key: value for key, value in step.items() if key != "trim_offsets"} for step in steps]


def _build(metadata: Mapping[str, Any], split: _Split) -> Tokenizer:
    tokens: list[str] = metadata["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ", 1)) for merge in metadata["tokenizer.ggml.merges"]]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(BPE(vocabulary, merges, ignore_merges=split.ignore_merges))
    tokenizer.pre_tokenizer = split.pre_tokenizer()
    tokenizer.decoder = decoders.ByteLevel()
    kinds = metadata.get("tokenizer.ggml.token_type", ())
    for token, kind in zip(tokens, kinds, strict=False):
        if kind in (_CONTROL, _USER_DEFINED):
            special = kind == _CONTROL
            added = AddedToken(token, special=special, normalized=False)
            (tokenizer.add_special_tokens if special else tokenizer.add_tokens)([added])
    first = metadata.get("tokenizer.ggml.bos_token_id")
    if first is not None and metadata.get("tokenizer.ggml.add_bos_token", split.add_bos):
        bos = tokens[first]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, first)]
        )
    return tokenizer
