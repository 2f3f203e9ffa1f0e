"""The training corpus: permissively licensed source files, each with where it came from.

    python -m model.corpus build OUT                           # all projects of model/corpus.toml
    python -m model.corpus build OUT --only django three       # some of them
    python -m model.corpus build OUT --from-dir ~/src/project  # your own, for fine-tuning
    python -m model.corpus table OUT --tokenizer tokenizer.json  # its table, tokens counted
    python -m model.corpus check OUT --eval-dir DIR            # evaluation data in a corpus?
    python -m model.corpus pin npm three                       # a manifest line to add

In Python: ``for document in iter_documents("OUT"): ...``
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from model.languages import SUFFIXES

from .build import sift
from .documents import TABLE_FILE, Corpus, CorpusError, Document
from .sources import own_source

__all__ = ["CorpusError", "Document", "iter_documents"]


def iter_documents(path: str | Path) -> Iterable[Document]:
    """Documents of a built corpus, or of any folder of source files that pass our filters.

    They can be iterated again, and the order is the same every time. Raises CorpusError if there is
    nothing to read.
    """
    folder = Path(path)
    if (folder / TABLE_FILE).is_file():
        return Corpus(folder)
    if not folder.is_dir():
        raise CorpusError(f"{folder} does not exist: `python -m model.corpus build` makes a corpus")
    documents = [document for document, _ in sift(own_source(folder)).documents]
    if not documents:
        raise CorpusError(f"no {', '.join(SUFFIXES)} file under {folder} passes the filters")
    return documents
