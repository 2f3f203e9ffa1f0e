"""Source files -> packed data for a model's tokenizer, the start of fine-tuning on a folder."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from model.rows import DESCRIPTION
from model.train.errors import TrainError

#: Passes over a small repository, each cut differently, and tokens after which more do not help.
MOST_EPOCHS = 12
ENOUGH_TOKENS = 2_000_000
#: Like an editor's: most cuts in lines, nearly every example cut.
FIM_RATE, LINE_RATE = 0.9, 0.8
#: One file in this many is held out, to watch the loss on.
VALIDATION_STRIDE = 20


def is_packed(folder: Path) -> bool:
    return (folder / DESCRIPTION).is_file()


def pack_sources(
    folder: Path, data: Path, tokenizer: Path, n_positions: int, seed: int, path_comment: bool
) -> None:
    """Pack a corpus, or any folder of source files, into `data`. Raises TrainError, DataError."""
    # Late: nothing else in training needs the packages that read and filter sources.
    from model.corpus import CorpusError, iter_documents
    from model.data import pack
    from model.fim import FimConfig
    from model.packing import PackConfig

    try:
        documents = list(iter_documents(folder))
    except CorpusError as error:
        raise TrainError(f"--data {folder}: {error}") from error
    config = PackConfig(
        n_positions=n_positions,
        fim=FimConfig(FIM_RATE, line_rate=LINE_RATE, path_comment=path_comment),
        seed=seed,
        epochs=_epochs([document.text for document in documents], tokenizer),
        validation_stride=VALIDATION_STRIDE,
    )
    pack(documents, tokenizer, data, config, multiprocessing.cpu_count())


def _epochs(texts: Sequence[str], tokenizer: Path) -> int:
    """Passes over the texts that make about `ENOUGH_TOKENS`, judged by a sample."""
    sample = texts[:: max(1, len(texts) // 50)]
    encodings = Tokenizer.from_file(str(tokenizer)).encode_batch(sample, add_special_tokens=False)
    rate = sum(len(each.ids) for each in encodings) / max(1, sum(map(len, sample)))
    tokens = rate * sum(map(len, texts))
    return max(1, min(MOST_EPOCHS, round(ENOUGH_TOKENS / max(1, tokens))))
