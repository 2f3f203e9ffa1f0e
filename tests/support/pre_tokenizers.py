"""Small tokenizers with the pre-tokenizers of the families, trained on a little code."""

from __future__ import annotations

from functools import cache

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#: As published in the tokenizer.json of Qwen2.5-Coder and of Llama 3.
_QWEN2 = (
    _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
_LLAMA3 = _QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")

CODE = "".join(
    f"class Shape{i}(Base):\n    def area_{i}(self, width: int) -> float:\n"
    f'        """The area of {i * 37}."""\n        if width > {i}:\n\n'
    f"            return self.values[{i}] * (width + 1.5)\n\n\n"
    f"function f{i}(a, b) {{\n\treturn a.map((x) => x + {i}); // it's done\n}}\r\n\n"
    for i in range(40)
)


def _split(pattern: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


_GPT2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
PRE_TOKENIZERS = {
    "gpt2": _GPT2,
    "starcoder": pre_tokenizers.Sequence([pre_tokenizers.Digits(True), _GPT2]),
    "qwen2": _split(_QWEN2),
    "llama3": _split(_LLAMA3),
}


@cache
def tokenizer(name: str) -> Tokenizer:
    """Byte-level BPE of 600 tokens with one of `PRE_TOKENIZERS`."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = PRE_TOKENIZERS[name]
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        [CODE], trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False)
    )
    return made
