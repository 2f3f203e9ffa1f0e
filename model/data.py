"""Pack a corpus into rows of token ids, the fill-in-the-middle transformation applied.

    python -m model.data CORPUS DATA --tokenizer tokenizer.json --n-positions 1024 --fim-rate 0.9

CORPUS is a folder written by model.corpus, or any folder of source files. DATA holds
`train-NNNNN.npy.zst` and `val-LANGUAGE.npy.zst` (zstandard of NumPy's format, uint16
[rows, n_positions + 1]; a row is the input and, shifted by one, the target), `tokenizer.json`, and
`data.json`, which says how they were made. Every train file is a fair sample of the corpus and
stays far under 50 MB: any of them may be left out, as when they travel to another machine.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import shutil
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tqdm import tqdm

from model.corpus import CorpusError, Document, iter_documents
from model.corpus.filters import is_documented
from model.fim import FimConfig
from model.packing import PackConfig, Packer, examples_of, special_ids
from model.rows import DESCRIPTION, DataError, write_rows
from model.tokenizer import TokenizerError, load
from santa_lsp.models.files import replaced_folder

#: The weight of documents that explain themselves (`model.corpus.filters.is_documented`).
DOCUMENTED = "documented"
#: Token ids of one train file: 25 MB, about half of that compressed.
SHARD_TOKENS = 12_582_912


def _name_hash(document: Document) -> int:
    return zlib.crc32(f"{document.package}/{document.path}".encode())


def is_held_out(document: Document, stride: int) -> bool:
    """Whether a document is for validation; depends on its name only, so it never changes sides."""
    return _name_hash(document) % stride == 0


def repetitions(document: Document, config: PackConfig) -> int:
    """In how many passes a document takes part: its epochs, rounded up or down by its name.

    A larger number of epochs takes all the passes of a smaller one.
    """
    weight = config.weights.get(document.language, 1) * config.weights.get(document.package, 1)
    if DOCUMENTED in config.weights and is_documented(document.path, document.text):
        weight *= config.weights[DOCUMENTED]
    return math.floor(config.epochs * weight + (_name_hash(document) >> 8) % 10_000 / 10_000)


class _Passes:
    """Every document with its epoch, in as many passes as are needed; counts the documents."""

    def __init__(self, documents: Iterable[Document], config: PackConfig) -> None:
        self._documents, self._config = documents, config
        self.documents: Counter[str] = Counter()  # trained on, by language
        self.held_out: Counter[str] = Counter()

    def __iter__(self) -> Iterator[tuple[Document, PackConfig, int]]:
        epoch, goes_on = 0, True
        while goes_on:
            goes_on = False
            if epoch == 1 and iter(self._documents) is self._documents:
                raise DataError("documents that can be read only once give only one epoch")
            for document in self._documents:
                most = repetitions(document, self._config)
                if is_held_out(document, self._config.validation_stride):
                    most = min(most, 1)
                if epoch >= most:
                    continue
                goes_on |= epoch + 1 < most
                if epoch == 0:
                    held_out = is_held_out(document, self._config.validation_stride)
                    (self.held_out if held_out else self.documents)[document.language] += 1
                yield document, self._config, epoch
            epoch += 1


_worker_tokenizer: Tokenizer


def _start_worker(tokenizer_path: Path) -> None:
    global _worker_tokenizer
    _worker_tokenizer = load(tokenizer_path)


def _work(job: tuple[Document, PackConfig, int]) -> tuple[Document, list[list[int]]]:
    document, config, epoch = job
    return document, examples_of(document, _worker_tokenizer, config, epoch)


class _Shards:
    """Writes training rows into files of `SHARD_TOKENS`; `files` describes each."""

    def __init__(self, folder: Path, n_positions: int) -> None:
        self._folder, self._rows = folder, list[list[int]]()
        self._most = max(1, SHARD_TOKENS // (n_positions + 1))
        self.files: dict[str, dict[str, Any]] = {}

    def add(self, rows: Iterable[list[int]]) -> None:
        self._rows.extend(rows)
        while len(self._rows) >= self._most:
            self._write()

    def close(self) -> None:
        while self._rows:
            self._write()

    def _write(self) -> None:
        name = f"train-{len(self.files):05}.npy.zst"
        self.files[name] = write_rows(self._folder / name, self._rows[: self._most])
        del self._rows[: self._most]


def pack(
    documents: Iterable[Document], tokenizer_path: Path, out: Path, config: PackConfig, jobs: int
) -> dict[str, Any]:
    """Write packed data and return the content of `data.json`. It does not depend on `jobs`.

    `documents` are read once for each epoch. `out` is replaced only once all is written. Raises
    DataError if it holds something else, or if the corpus is too small for one row.
    """
    if out.exists() and not (out / DESCRIPTION).is_file() and any(out.iterdir()):
        raise DataError(f"{out} holds something other than packed data: give another folder")
    tokenizer = load(tokenizer_path)
    if tokenizer.get_vocab_size() > 2**16:
        raise DataError(f"{tokenizer_path} has over {2**16} tokens, more than rows can hold")
    fim, end_of_text = special_ids(tokenizer)
    new_packer = partial(Packer, config.n_positions, fim.pad, end_of_text)
    with replaced_folder(out) as new:
        shutil.copyfile(tokenizer_path, new / "tokenizer.json")
        passes = _Passes(documents, config)
        with multiprocessing.Pool(jobs, _start_worker, (tokenizer_path,)) as pool:
            work = pool.imap(_work, passes, chunksize=16)
            total = round(len(documents) * config.epochs) if isinstance(documents, Sized) else None
            bar = tqdm(work, desc="pack", unit=" documents", total=total)
            files, tokens = _write_rows(bar, new_packer, new, config)
        description = {
            "n_positions": config.n_positions,
            "vocab_size": tokenizer.get_vocab_size(),
            "documents": dict(passes.documents),
            "held_out_documents": dict(passes.held_out),
            "tokens": tokens,
            "pack": asdict(config),
            "files": files,
        }
        (new / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n")
    return description


def _write_rows(
    work: Iterable[tuple[Document, list[list[int]]]],
    new_packer: Callable[[], Packer],
    folder: Path,
    config: PackConfig,
) -> tuple[dict[str, dict[str, Any]], dict[str, int]]:
    """Pack the examples of documents; returns descriptions of the files, and tokens by language."""
    shards, packer = _Shards(folder, config.n_positions), new_packer()
    held_out: dict[str, list[list[int]]] = {}  # examples by language
    tokens: Counter[str] = Counter()
    for document, examples in work:
        if is_held_out(document, config.validation_stride):
            held_out.setdefault(document.language, []).extend(examples)
            continue
        for ids in examples:
            tokens[document.language] += len(ids)
            shards.add(packer.add(ids))
    shards.add(packer.flush())
    shards.close()
    if not shards.files:
        raise DataError("no document is left to train on: the corpus is too small")
    files = dict(shards.files)
    for language, examples in held_out.items():
        packer = new_packer()
        rows = [row for ids in examples for row in packer.add(ids)] + list(packer.flush())
        name = f"val-{language}.npy.zst"
        files[name] = write_rows(folder / name, rows)
    return files, dict(tokens)


def _weight(text: str) -> tuple[str, float]:
    name, equals, factor = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text} is not NAME=FACTOR")
    return name, float(factor)


def main(arguments: list[str] | None = None) -> int:
    """Return 0, 1 after a failure explained in one line, or 2 for usage."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("corpus", type=Path, help="a folder by model.corpus, or of source files")
    parser.add_argument("out", type=Path, help="folder; older packed data are replaced")
    parser.add_argument("--tokenizer", type=Path, required=True, metavar="FILE")
    parser.add_argument("--n-positions", type=int, default=1024)
    parser.add_argument("--fim-rate", type=float, default=0.5, help="SantaCoder's: 0.5")
    parser.add_argument("--spm-rate", type=float, default=0.5, help="SantaCoder's: 0.5")
    parser.add_argument("--line-rate", type=float, default=0.0, help="share of an editor's cuts")
    parser.add_argument("--node-rate", type=float, default=0.0, help="share of cuts along syntax")
    parser.add_argument(
        "--path-comment", action="store_true", help="begin texts with language, folder and file"
    )
    parser.add_argument(
        "--shortest-piece", type=int, default=0, metavar="N",
        help="cut documents into pieces of N tokens to a row, log-uniform: more cuts in as many\n"
        "tokens (default: as long as a row)",
    )  # fmt: skip
    parser.add_argument(
        "--epochs", type=float, default=1,
        help="passes, each cut differently; 0.3 takes three documents in ten",
    )  # fmt: skip
    parser.add_argument(
        "--weight", type=_weight, nargs="+", default=[], metavar="NAME=FACTOR",
        help="factors on --epochs by language, by package, and for documented library code, as in\n"
        "javascript=2 django=1.5 documented=4",
    )  # fmt: skip
    parser.add_argument(
        "--validation-stride", type=int, default=100, metavar="N",
        help="one document in N is held out (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count(), metavar="N")
    options = parser.parse_args(arguments)
    try:
        config = PackConfig(
            n_positions=options.n_positions,
            fim=FimConfig(
                options.fim_rate,
                options.spm_rate,
                options.line_rate,
                options.node_rate,
                options.path_comment,
            ),
            shortest_piece=options.shortest_piece,
            seed=options.seed,
            epochs=options.epochs,
            validation_stride=options.validation_stride,
            weights=dict(options.weight),
        )
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    try:
        documents = iter_documents(options.corpus)
        description = pack(documents, options.tokenizer, options.out, config, options.jobs)
    except (CorpusError, DataError, TokenizerError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error}; {options.out} was left as it was", file=sys.stderr)
        return 1
    print(json.dumps({key: description[key] for key in description if key != "files"}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
