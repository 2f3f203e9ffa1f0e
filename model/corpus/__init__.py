"""The training corpus: permissively licensed source files with provenance, from a manifest or from one's own folders.

    python -m model.corpus build corpus                         # every project of model/corpus.toml
    python -m model.corpus build corpus --only django three     # some of them
    python -m model.corpus build mine --from-dir ~/src/project  # one's own repository, for fine-tuning

In Python: ``for document in iter_documents("corpus"): ...``
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .build import own_source, sift
from .documents import LANGUAGES, TABLE_FILE, CorpusError, Document, read_shards

__all__ = ["LANGUAGES", "CorpusError", "Document", "iter_documents"]


def iter_documents(path: str | Path) -> Iterator[Document]:
    """Documents of a built corpus, or of a folder of source files after the filters for one's own code.

    The order is the same every time. Raises CorpusError if there is nothing to read.
    """
    folder = Path(path)
    if (folder / TABLE_FILE).is_file():
        yield from read_shards(folder)
    elif folder.is_dir():
        documents = sift(own_source(folder)).documents
        if not documents:
            raise CorpusError(f"no .py, .java or .js file under {folder} passes the filters")
        yield from documents
    else:
        raise CorpusError(f"{folder} is neither a corpus nor a folder: build one with `python -m model.corpus build`")
