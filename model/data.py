"""Pack a corpus into rows of token ids, the fill-in-the-middle transformation applied.

    python -m model.data CORPUS DATA --tokenizer tokenizer.json --n-positions 1024 --fim-rate 0.9

DATA holds `train-NNNNN.npy` and `val-LANGUAGE.npy` (uint16 [rows, n_positions + 1]; a row is the
input and, shifted by one, the target), `tokenizer.json`, and `data.json`, which says how they
were made. Documents are cut at line ends into pieces that fit a row, so no example is torn apart;
rows are filled up with `<fim-pad>`, which carries no loss.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import shutil
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tqdm import tqdm

from model.corpus import Document, iter_documents
from model.fim import FimConfig, example
from model.tokenizer import load
from santa_lsp.prompt import END_OF_TEXT, find_dialect

Rows = NDArray[np.uint16]

#: Room for the FIM tokens, end-of-text, and the tokens that cutting inside a word adds.
SLACK = 10
#: Rows of one file: 25 MB at 1024 positions.
ROWS_PER_FILE = 12_288
#: Rows that are filled up with further examples at the same time.
OPEN_ROWS = 64


class DataError(Exception):
    """Packed data that are missing, damaged or too small; says what to do."""


@dataclass(frozen=True, slots=True)
class PackConfig:
    n_positions: int
    fim: FimConfig
    seed: int
    epochs: int
    #: One document in `validation_stride` is held out.
    validation_stride: int = 200


class Packer:
    """Fills rows of n_positions + 1 ids with whole examples, each where it leaves least room."""

    def __init__(self, n_positions: int, pad: int) -> None:
        self.width, self.pad = n_positions + 1, pad
        self.open: list[list[int]] = []

    def add(self, ids: list[int]) -> Iterator[list[int]]:
        """Yields the rows that are finished by this example."""
        ids = ids[: self.width]
        fitting = [row for row in self.open if len(row) + len(ids) <= self.width]
        if fitting:
            max(fitting, key=len).extend(ids)
        else:
            self.open.append(list(ids))
        if len(self.open) > OPEN_ROWS:
            fullest = max(self.open, key=len)
            self.open.remove(fullest)
            yield self._padded(fullest)

    def flush(self) -> Iterator[list[int]]:
        while self.open:
            yield self._padded(self.open.pop(0))

    def _padded(self, row: list[int]) -> list[int]:
        return row + [self.pad] * (self.width - len(row))


def pieces(text: str, tokenizer: Tokenizer, room: int) -> Iterator[tuple[str, bool]]:
    """`text` in pieces of about `room` tokens at most, cut at line ends; each with "is last"."""
    offsets = tokenizer.encode(text, add_special_tokens=False).offsets
    token, start = 0, 0
    while token + room < len(offsets):
        limit = offsets[token + room][0]
        end = text.rfind("\n", start + 1, limit) + 1 or limit
        yield text[start:end], False
        start = end
        token += 1
        while token < len(offsets) and offsets[token][0] < start:
            token += 1
    yield text[start:], True


def examples_of(document: Document, tokenizer: Tokenizer, config: PackConfig) -> list[list[int]]:
    """Token ids of a document's examples, `epochs` times, each time cut differently."""
    found = find_dialect(tokenizer.token_to_id)
    end_of_text = tokenizer.token_to_id(END_OF_TEXT)
    if found is None or end_of_text is None:
        raise DataError(
            "the tokenizer has no fill-in-the-middle tokens; train one with model.tokenizer"
        )

    def encode(text: str) -> list[int]:
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    output = []
    for epoch in range(config.epochs):
        rng = random.Random(f"{config.seed}:{epoch}:{document.package}:{document.path}")
        for text, ends in pieces(document.text, tokenizer, config.n_positions + 1 - SLACK):
            output.append(example(text, encode, found[1], end_of_text, config.fim, rng, ends))
    return output


def _name_hash(document: Document) -> int:
    return zlib.crc32(f"{document.package}/{document.path}".encode())


def is_held_out(document: Document, stride: int) -> bool:
    """Whether a document is for validation; depends on its name only, so it never changes sides."""
    return _name_hash(document) % stride == 0


def fraction(documents: Iterable[Document], share: float) -> Iterator[Document]:
    """About `share` of the documents: the same in every call, a subset of any larger share."""
    return (d for d in documents if (_name_hash(d) >> 8) % 10_000 < share * 10_000)


_worker_tokenizer: Tokenizer


def _start_worker(tokenizer_path: Path) -> None:
    global _worker_tokenizer
    _worker_tokenizer = load(tokenizer_path)


def _work(job: tuple[Document, PackConfig]) -> tuple[str, bool, list[list[int]]]:
    document, config = job
    held_out = is_held_out(document, config.validation_stride)
    return document.language, held_out, examples_of(document, _worker_tokenizer, config)


def pack(
    documents: Iterable[Document], tokenizer_path: Path, out: Path, config: PackConfig, jobs: int
) -> dict[str, object]:
    """Write packed data and return what `data.json` says. The result does not depend on `jobs`."""
    tokenizer = load(tokenizer_path)
    pad = tokenizer.token_to_id("<fim-pad>")
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(tokenizer_path, out / "tokenizer.json")
    train, validation = Packer(config.n_positions, pad), dict[str, Packer]()
    rows: list[list[int]] = []
    validation_rows: dict[str, list[list[int]]] = {}
    tokens: dict[str, int] = {}
    files = 0

    def write_train(least: int) -> None:
        nonlocal files
        while len(rows) >= least and rows:
            chunk = np.array(rows[:ROWS_PER_FILE], dtype=np.uint16)
            np.save(out / f"train-{files:05}.npy", chunk)
            del rows[:ROWS_PER_FILE]
            files += 1

    with multiprocessing.Pool(jobs, _start_worker, (tokenizer_path,)) as pool:
        work = ((document, config) for document in documents)
        for language, held_out, examples in tqdm(
            pool.imap(_work, work, chunksize=16), desc="packing", unit=" documents"
        ):
            for ids in examples:
                if held_out:
                    packer = validation.setdefault(language, Packer(config.n_positions, pad))
                    validation_rows.setdefault(language, []).extend(packer.add(ids))
                else:
                    tokens[language] = tokens.get(language, 0) + len(ids)
                    rows.extend(train.add(ids))
            write_train(ROWS_PER_FILE)
    rows.extend(train.flush())
    write_train(1)
    for language, packer in validation.items():
        validation_rows[language].extend(packer.flush())
        np.save(out / f"val-{language}.npy", np.array(validation_rows[language], dtype=np.uint16))
    description = {
        "n_positions": config.n_positions,
        "vocab_size": tokenizer.get_vocab_size(),
        "tokens": tokens,
        "pack": asdict(config),
    }
    (out / "data.json").write_text(json.dumps(description, indent=2) + "\n")
    return description


class TokenRows:
    """Packed rows in a deterministic order: row `i` of a run is the same on every machine."""

    def __init__(self, directory: Path, seed: int) -> None:
        """Raises DataError when the folder holds no packed data."""
        if not (directory / "data.json").is_file():
            raise DataError(
                f"{directory} holds no packed data; make them with python -m model.data"
            )
        self.description = json.loads((directory / "data.json").read_text())
        self.directory, self.seed = directory, seed
        files = sorted(directory.glob("train-*.npy"))
        if not files:
            raise DataError(f"{directory} has no train-*.npy; the corpus was too small for one row")
        self._files: list[Rows] = [np.load(file, mmap_mode="r") for file in files]
        self._starts = np.cumsum([0, *(len(rows) for rows in self._files)])
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def batch(self, start: int, size: int) -> Rows:
        """Rows start..start+size of the endless stream of epochs, [size, n_positions + 1]."""
        return np.stack([self._row(index) for index in range(start, start + size)])

    def _row(self, index: int) -> Rows:
        epoch, position = divmod(index, len(self))
        if epoch != self._epoch:
            generator = np.random.Generator(np.random.PCG64([self.seed, epoch]))
            self._epoch, self._order = epoch, generator.permutation(len(self))
        row = int(self._order[position])
        file = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self._files[file][row - int(self._starts[file])]

    def validation(self, most: int) -> dict[str, Rows]:
        """At most `most` held-out rows by language, spread evenly over the language's projects."""
        found = {}
        for file in sorted(self.directory.glob("val-*.npy")):
            rows = np.load(file)
            found[file.stem.removeprefix("val-")] = rows[:: -(-len(rows) // most)]
        return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("corpus", type=Path, help="a folder written by model.corpus")
    parser.add_argument("out", type=Path)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--n-positions", type=int, default=1024)
    parser.add_argument("--fim-rate", type=float, default=0.5, help="SantaCoder's: 0.5")
    parser.add_argument("--spm-rate", type=float, default=0.5, help="SantaCoder's: 0.5")
    parser.add_argument("--line-rate", type=float, default=0.0, help="share of cuts at line ends")
    parser.add_argument("--epochs", type=int, default=1, help="passes, each cut differently")
    parser.add_argument("--fraction", type=float, default=1.0, help="share of the documents used")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    arguments = parser.parse_args()
    config = PackConfig(
        n_positions=arguments.n_positions,
        fim=FimConfig(arguments.fim_rate, arguments.spm_rate, arguments.line_rate),
        seed=arguments.seed,
        epochs=arguments.epochs,
    )
    documents = fraction(iter_documents(arguments.corpus), arguments.fraction)
    description = pack(documents, arguments.tokenizer, arguments.out, config, arguments.jobs)
    print(json.dumps(description, indent=2))


if __name__ == "__main__":
    main()
