"""Count a corpus's tokens by language and licence, once there is a tokenizer to count with."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from santa_lsp.models.files import write_whole

from .build import OWN, Table
from .documents import TABLE_FILE, Corpus

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_BATCH = 256  # documents that are tokenized together, on all cores


def read_table(folder: Path) -> Table:
    """The content of ``corpus.json``. Raises CorpusError if ``folder`` is no corpus."""
    Corpus(folder)
    table: Table = json.loads((folder / TABLE_FILE).read_text(encoding="utf-8"))
    return table


def write_table(folder: Path, table: Table) -> None:
    """Replace ``corpus.json``, whole or not at all."""
    write_whole(folder / TABLE_FILE, json.dumps(table, indent=1, ensure_ascii=False) + "\n")


def count_tokens(folder: Path, tokenizer: Tokenizer) -> Table:
    """Count the tokens of all documents, add them to the corpus's table, and return it."""
    corpus, table = Corpus(folder), read_table(folder)
    counts: Counter[tuple[str, str]] = Counter()
    with tqdm(total=len(corpus), desc="count tokens", unit="file") as bar:
        documents = iter(corpus)
        while batch := list(itertools.islice(documents, _BATCH)):
            texts = [document.text for document in batch]
            encodings = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
            for document, encoding in zip(batch, encodings, strict=True):
                counts[document.language, document.licence or OWN] += len(encoding)
            bar.update(len(batch))
    for (language, licence), count in counts.items():
        table["languages"][language][licence]["tokens"] = count
    write_table(folder, table)
    return table
