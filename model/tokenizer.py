"""Train a byte-level BPE tokenizer like SantaCoder's.

python -m model.tokenizer CORPUS tokenizer.json --vocab-size 8192
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from tqdm import tqdm

from santa_lsp.families.forms import PromptForm, find_form, find_stop_tokens
from santa_lsp.models.files import write_whole

if TYPE_CHECKING:
    from model.corpus import Document

#: SantaCoder's; santa_lsp.families.forms knows them by these names.
SPECIAL_TOKENS = ["<|endoftext|>", "<fim-prefix>", "<fim-middle>", "<fim-suffix>", "<fim-pad>"]


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


@dataclass(frozen=True, slots=True)
class SpecialIds:
    """The ids in a row that come from no text."""

    form: PromptForm
    end_of_text: int
    start: tuple[int, ...]  # of an example, in models whose prompts start with a token


def special_ids(tokenizer: Tokenizer, metadata: Mapping[str, Any]) -> SpecialIds:
    """Of a tokenizer whose model's files say `metadata`, for santa_lsp.families.forms.

    From now on the tokenizer takes what spells them in a text for text. Raises TokenizerError when
    it has none.
    """
    try:
        form = find_form(tokenizer.token_to_id, metadata)
    except ValueError as error:
        raise TokenizerError(str(error)) from error
    stop_tokens = find_stop_tokens(tokenizer.token_to_id, metadata, form)
    if form is None or not stop_tokens:
        raise TokenizerError(
            "the tokenizer has no fill-in-the-middle tokens; train one with model.tokenizer"
        )
    # Qwen's are not marked as special, and would be found in text.
    tokenizer.add_special_tokens(list(stop_tokens))
    end_of_text = tokenizer.token_to_id(stop_tokens[0])
    assert end_of_text is not None  # find_stop_tokens names tokens that are there
    start = tokenizer.token_to_id(metadata.get("bos_token") or "")
    return SpecialIds(form, end_of_text, () if start is None else (start,))


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
