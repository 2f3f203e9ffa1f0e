"""Train a byte-level BPE tokenizer like SantaCoder's.

python -m model.tokenizer CORPUS tokenizer.json --vocab-size 8192
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from santa_lsp.prompt import END_OF_TEXT, HYPHEN

SPECIAL_TOKENS = [
    END_OF_TEXT,
    HYPHEN.fim_prefix_token,
    HYPHEN.fim_middle_token,
    HYPHEN.fim_suffix_token,
    HYPHEN.fim_pad_token,
]


def train(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """A tokenizer of at most `vocab_size` tokens; the special tokens have the first ids."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=True,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def load(path: Path) -> Tokenizer:
    """A tokenizer that spells special tokens found in text as ordinary text.

    Raises ValueError if the file is no tokenizer.
    """
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises plain Exception
        raise ValueError(f"the tokenizer {path} cannot be read: {error}") from error
    tokenizer.encode_special_tokens = True
    return tokenizer


def _sample(corpus: Path, characters: int) -> Iterator[str]:
    """Every n-th document, so that the sample has the corpus' mix of languages and projects."""
    from model.corpus import iter_documents

    total = sum(len(document.text) for document in iter_documents(corpus))
    stride = max(1, total // characters)
    for index, document in enumerate(iter_documents(corpus)):
        if index % stride == 0:
            yield document.text


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("corpus", type=Path, help="a folder written by model.corpus")
    parser.add_argument("output", type=Path, help="the tokenizer.json to write")
    parser.add_argument("--vocab-size", type=int, default=8192)
    parser.add_argument("--sample-characters", type=int, default=60_000_000)
    arguments = parser.parse_args()
    tokenizer = train(_sample(arguments.corpus, arguments.sample_characters), arguments.vocab_size)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(arguments.output))
    print(f"{arguments.output}: {tokenizer.get_vocab_size()} tokens")


if __name__ == "__main__":
    main()
