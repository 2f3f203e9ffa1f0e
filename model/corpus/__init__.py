"""The training corpus: permissively licensed source files, each with where it came from.

    python -m model.corpus build OUT                           # all projects of model/corpus.toml
    python -m model.corpus build OUT --only django three       # some of them
    python -m model.corpus build OUT --from-dir ~/src/project  # one's own, for fine-tuning
    python -m model.corpus check OUT --eval-dir DIR            # evaluation data in a corpus?
    python -m model.corpus pin npm three                       # a manifest line to add

In Python: ``for document in iter_documents("OUT"): ...``
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .build import sift
from .documents import LANGUAGES, TABLE_FILE, CorpusError, Document, read_shards
from .sources import own_source

__all__ = ["LANGUAGES", "CorpusError", "Document", "iter_documents"]


def iter_documents(path: str | Path) -> Iterator[Document]:
    """Documents of a built corpus, or of any folder of source files that pass our filters.

    The order is the same every time. Raises CorpusError if there is nothing to read.
    """
    folder = Path(path)
    if (folder / TABLE_FILE).is_file():
        yield from read_shards(folder)
    elif folder.is_dir():
        documents = [document for document, _ in sift(own_source(folder)).documents]
        if not documents:
            raise CorpusError(f"no .py, .java or .js file under {folder} passes the filters")
        yield from documents
    else:
        raise CorpusError(f"{folder} does not exist: `python -m model.corpus build` makes a corpus")
