"""Train a byte-level BPE tokenizer like SantaCoder's.

python -m model.tokenizer CORPUS tokenizer.json --vocab-size 8192
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from tqdm import tqdm

from santa_lsp.families.prompt import END_OF_TEXT, HYPHEN
from santa_lsp.models.files import write_whole

if TYPE_CHECKING:
    from model.corpus import Document

SPECIAL_TOKENS = [
    END_OF_TEXT,
    HYPHEN.fim_prefix_token,
    HYPHEN.fim_middle_token,
    HYPHEN.fim_suffix_token,
    HYPHEN.fim_pad_token,
]


class TokenizerError(Exception):
    """A tokenizer that cannot be read; says why."""


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

    Raises TokenizerError if the file is no tokenizer.
    """
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises plain Exception
        raise TokenizerError(f"the tokenizer {path} cannot be read: {error}") from error
    tokenizer.encode_special_tokens = True
    return tokenizer


def _sample(documents: Iterable[Document], characters: int) -> Iterator[str]:
    """Every n-th document, so that the sample has the corpus' mix of languages and projects."""
    total = sum(len(document.text) for document in tqdm(documents, desc="measure", unit="file"))
    stride = max(1, total // characters)
    for index, document in enumerate(documents):
        if index % stride == 0:
            yield document.text


def main(arguments: list[str] | None = None) -> int:
    """Return 0, 1 after a failure explained in one line, or 2 for usage."""
    # Late: training loads tokenizers on machines without the packages of a corpus.
    from model.corpus import CorpusError, iter_documents

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("corpus", type=Path, help="a folder by model.corpus, or of source files")
    parser.add_argument("output", type=Path, help="the tokenizer.json to write")
    parser.add_argument("--vocab-size", type=int, default=8192)
    parser.add_argument("--sample-characters", type=int, default=60_000_000)
    options = parser.parse_args(arguments)
    try:
        documents = iter_documents(options.corpus)
        tokenizer = train(_sample(documents, options.sample_characters), options.vocab_size)
        # Not with Tokenizer.save: a full disk is a plain Exception there.
        write_whole(options.output, tokenizer.to_str(pretty=True))
    except (CorpusError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{options.output}: {tokenizer.get_vocab_size()} tokens")
    return 0


if __name__ == "__main__":
    sys.exit(main())
