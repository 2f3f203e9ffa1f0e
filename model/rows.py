"""Packed rows of token ids on disk, and the order in which training sees them.

A folder of packed data is written by model.data, whose docstring describes it.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

Rows = NDArray[np.uint16]  # [rows, n_positions + 1]

DESCRIPTION = "data.json"
COMPRESSION = 6  # of zstandard


class DataError(Exception):
    """Packed data are missing, damaged or too small. The message names the remedy."""


def write_rows(path: Path, rows: list[list[int]]) -> dict[str, Any]:
    """Write rows to a compressed file; return its number of rows, size and SHA-256."""
    buffer = io.BytesIO()
    np.save(buffer, np.array(rows, dtype=np.uint16))
    content = zstandard.ZstdCompressor(level=COMPRESSION).compress(buffer.getvalue())
    path.write_bytes(content)
    return {
        "rows": len(rows),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def read_rows(path: Path) -> Rows:
    """The rows of a file. Raises DataError if it is damaged."""
    try:
        content = zstandard.ZstdDecompressor().decompress(path.read_bytes())
        rows: Rows = np.load(io.BytesIO(content))
    except (OSError, ValueError, zstandard.ZstdError) as error:
        raise DataError(f"{path} is damaged ({error}): copy or pack it again") from error
    return rows


class TokenRows:
    """Packed rows in a deterministic order: row `i` of a run is the same on every machine.

    In each epoch the train files come in another order, and within each its rows; one or two files
    are in memory at a time. Missing files are left out.
    """

    def __init__(self, directory: Path, seed: int) -> None:
        """Raises DataError when the folder holds no packed data."""
        try:
            self.description = json.loads((directory / DESCRIPTION).read_text())
        except OSError as error:
            raise DataError(
                f"{directory} holds no packed data; make them with python -m model.data"
            ) from error
        self.directory, self.seed = directory, seed
        self._names = [path.name for path in sorted(directory.glob("train-*.npy.zst"))]
        if not self._names:
            raise DataError(f"{directory} has no train-*.npy.zst; the corpus was too small")
        files = self.description["files"]
        self._sizes = np.array([files[name]["rows"] for name in self._names])
        self._epoch, self._starts = -1, np.empty(0, dtype=np.int64)
        self._files = np.empty(0, dtype=np.int64)
        self._loaded: dict[tuple[int, int], Rows] = {}  # by epoch and place in it, shuffled

    def __len__(self) -> int:
        return int(self._sizes.sum())

    def batch(self, start: int, size: int) -> Rows:
        """Rows start..start+size of the endless stream of epochs, [size, n_positions + 1]."""
        return np.stack([self._row(index) for index in range(start, start + size)])

    def _row(self, index: int) -> Rows:
        epoch, position = divmod(index, len(self))
        if epoch != self._epoch:
            order = np.random.Generator(np.random.PCG64([self.seed, epoch]))
            self._epoch, self._files = epoch, order.permutation(len(self._names))
            self._starts = np.cumsum([0, *self._sizes[self._files]])
        place = int(np.searchsorted(self._starts, position, side="right")) - 1
        row: Rows = self._shuffled(epoch, place)[position - int(self._starts[place])]
        return row

    def _shuffled(self, epoch: int, place: int) -> Rows:
        if (epoch, place) not in self._loaded:
            while len(self._loaded) > 1:  # a batch touches two files at most, in this order
                del self._loaded[next(iter(self._loaded))]
            file = int(self._files[place])
            order = np.random.Generator(np.random.PCG64([self.seed, epoch, file]))
            rows = read_rows(self.directory / self._names[file])
            self._loaded[epoch, place] = order.permutation(rows)
        return self._loaded[epoch, place]

    def validation(self, most: int) -> dict[str, Rows]:
        """At most `most` held-out rows by language, spread evenly over the language's documents."""
        found = {}
        for file in sorted(self.directory.glob("val-*.npy.zst")):
            rows = read_rows(file)
            language = file.name.removeprefix("val-").removesuffix(".npy.zst")
            found[language] = rows[:: -(-len(rows) // most)]
        return found
