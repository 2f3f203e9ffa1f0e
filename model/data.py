"""Pack a corpus into rows of token ids, the fill-in-the-middle transformation applied.

    python -m model.data CORPUS DATA --tokenizer tokenizer.json --n-positions 1024 --fim-rate 0.9

CORPUS is a folder written by model.corpus, or any folder of source files. DATA holds
`train-NNNNN.npy.zst` and `val-LANGUAGE.npy.zst` (zstandard of NumPy's format, uint16
[rows, n_positions + 1]; a row is the input and, shifted by one, the target), `tokenizer.json`, and
`data.json`, which says how they were made. Every train file is a fair sample of the corpus and
stays far under 50 MB: any of them may be left out, as when they travel to another machine.

How examples are delimited in a row: documents are cut at line ends into pieces that fit a row, so
no example is torn apart. An example ends with end-of-text, which appears nowhere else, and the next
one starts after it. The one exception, a piece of a longer document that was left as it is, has no
end-of-text and is always the last example of its row. Rows are filled up with `<fim-pad>`, which
carries no loss and appears only at their end. Special ids never come from text.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import random
import shutil
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tqdm import tqdm

from model.corpus import CorpusError, Document, iter_documents
from model.corpus.filters import is_documented
from model.corpus.licences import without_header
from model.fim import FimConfig, example
from model.rows import DESCRIPTION, DataError, TokenRows, write_rows
from model.tokenizer import TokenizerError, load
from santa_lsp.families.forms import PromptForm, find_form, find_stop_tokens
from santa_lsp.families.prompt import path_comment

__all__ = ["DataError", "PackConfig", "Packer", "TokenRows", "pack"]

#: Room for the FIM tokens, end-of-text, and the tokens that cutting inside a word adds.
SLACK = 10
#: The weight of documents that explain themselves (`model.corpus.filters.is_documented`).
DOCUMENTED = "documented"
#: Token ids of one train file: 25 MB, about half of that compressed.
SHARD_TOKENS = 12_582_912
#: Rows that are filled up with further examples at the same time.
OPEN_ROWS = 64


@dataclass(frozen=True, slots=True)
class PackConfig:
    n_positions: int
    fim: FimConfig
    seed: int
    #: Passes over the documents, each cut differently; 0.3 takes three documents in ten.
    epochs: float
    #: One document in `validation_stride` is held out.
    validation_stride: int = 100
    #: Tokens of the shortest piece of a longer document; 0: pieces are as long as a row.
    shortest_piece: int = 0
    #: Factors on `epochs` by language, by package, and for what is `DOCUMENTED`; they multiply.
    weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.n_positions <= SLACK:
            raise ValueError(f"n_positions must be over {SLACK}, not {self.n_positions}")
        if not 0 <= self.shortest_piece <= self.n_positions - SLACK:
            raise ValueError(f"shortest_piece must be under {self.n_positions - SLACK}")
        if self.epochs <= 0 or min(self.weights.values(), default=0) < 0:
            raise ValueError("epochs must be over 0 and no weight under it")
        if self.validation_stride < 2:
            raise ValueError("validation_stride must be at least 2: else nothing is trained on")


class Packer:
    """Fills rows of n_positions + 1 ids with whole examples, each where it leaves least room."""

    def __init__(self, n_positions: int, pad: int, end_of_text: int) -> None:
        self.width, self.pad, self.end_of_text = n_positions + 1, pad, end_of_text
        self.open: list[list[int]] = []

    def add(self, ids: list[int]) -> Iterator[list[int]]:
        """Yields the rows that are finished by this example."""
        ids = ids[: self.width]
        fitting = [row for row in self.open if len(row) + len(ids) <= self.width]
        row = max(fitting, key=len, default=None)
        if row is None:
            row = []
            self.open.append(row)
        row.extend(ids)
        if ids[-1] != self.end_of_text:  # nothing would tell where the next example starts
            self.open.remove(row)
            yield self._padded(row)
        elif len(self.open) > OPEN_ROWS:
            fullest = max(self.open, key=len)
            self.open.remove(fullest)
            yield self._padded(fullest)

    def flush(self) -> Iterator[list[int]]:
        """Yields the rows that are still open."""
        while self.open:
            yield self._padded(self.open.pop(0))

    def _padded(self, row: list[int]) -> list[int]:
        return row + [self.pad] * (self.width - len(row))


def pieces(
    text: str, tokenizer: Tokenizer, length: Callable[[], int]
) -> Iterator[tuple[str, bool]]:
    """`text` in pieces of about `length()` tokens at most, asked for each, cut at line ends; each
    with "is last"."""
    encoding = tokenizer.encode(text, add_special_tokens=False)
    token, start = 0, 0
    while token + (room := length()) < len(encoding):
        span = encoding.token_to_chars(token + room)
        assert span is not None  # there is such a token
        limit = span[0]
        end = text.rfind("\n", start + 1, limit) + 1 or limit
        yield text[start:end], False
        start = end
        # A tokenizer may leave white space out of its tokens' offsets.
        covered = (encoding.char_to_token(place) for place in range(start, len(text)))
        token = max(token + 1, next((i for i in covered if i is not None), len(encoding)))
    yield text[start:], True


def special_ids(tokenizer: Tokenizer) -> tuple[PromptForm, int]:
    """A tokenizer's prompt form and its end-of-text. Raises DataError without them."""
    form = find_form(tokenizer.token_to_id, {})
    stop_tokens = find_stop_tokens(tokenizer.token_to_id, {}, form)
    if form is None or not stop_tokens:
        raise DataError(
            "the tokenizer has no fill-in-the-middle tokens; train one with model.tokenizer"
        )
    end_of_text = tokenizer.token_to_id(stop_tokens[0])
    assert end_of_text is not None  # find_stop_tokens names tokens that are there
    return form, end_of_text


def examples_of(
    document: Document, tokenizer: Tokenizer, config: PackConfig, epoch: int
) -> list[list[int]]:
    """Token ids of a document's examples; each epoch is cut differently."""
    form, end_of_text = special_ids(tokenizer)

    def encode(text: str) -> list[int]:
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    rng = random.Random(f"{config.seed}:{epoch}:{document.package}:{document.path}")
    longest = config.n_positions + 1 - SLACK
    if config.fim.path_comment:
        longest -= len(encode(path_comment(document.language, document.path)))

    def length() -> int:
        if not config.shortest_piece:
            return longest
        return round(math.exp(rng.uniform(math.log(config.shortest_piece), math.log(longest))))

    language, path = document.language, document.path
    return [
        example(text, language, path, encode, form, end_of_text, config.fim, rng, ends)
        for text, ends in pieces(without_header(document.text), tokenizer, length)
    ]


def _name_hash(document: Document) -> int:
    return zlib.crc32(f"{document.package}/{document.path}".encode())


def is_held_out(document: Document, stride: int) -> bool:
    """Whether a document is for validation; depends on its name only, so it never changes sides."""
    return _name_hash(document) % stride == 0


def repetitions(document: Document, config: PackConfig) -> int:
    """In how many passes a document takes part: its epochs, rounded up or down by its name.

    What a number of epochs takes, any larger number takes too.
    """
    weight = config.weights.get(document.language, 1) * config.weights.get(document.package, 1)
    if DOCUMENTED in config.weights and is_documented(document.path, document.text):
        weight *= config.weights[DOCUMENTED]
    return math.floor(config.epochs * weight + (_name_hash(document) >> 8) % 10_000 / 10_000)


class _Passes:
    """Every document with its epoch, in as many passes as are needed; counts what it hands out."""

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


def pack(
    documents: Iterable[Document], tokenizer_path: Path, out: Path, config: PackConfig, jobs: int
) -> dict[str, Any]:
    """Write packed data and return what `data.json` says. The result does not depend on `jobs`.

    `documents` are read once for each epoch. `out` is replaced only once all is written. Raises
    DataError if it holds something else, or if the corpus is too small for one row.
    """
    if out.exists() and not (out / DESCRIPTION).is_file() and any(out.iterdir()):
        raise DataError(f"{out} holds something other than packed data: give another folder")
    tokenizer = load(tokenizer_path)
    form, end_of_text = special_ids(tokenizer)
    if tokenizer.get_vocab_size() > 2**16:
        raise DataError(f"{tokenizer_path} has over {2**16} tokens, more than rows can hold")
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    shutil.copyfile(tokenizer_path, partial / "tokenizer.json")

    packer = Packer(config.n_positions, form.pad, end_of_text)
    rows: list[list[int]] = []
    held_out: dict[str, list[list[int]]] = {}  # examples by language
    tokens: Counter[str] = Counter()
    shards: dict[str, dict[str, Any]] = {}
    rows_of_shard = max(1, SHARD_TOKENS // (config.n_positions + 1))

    def write_shard() -> None:
        name = f"train-{len(shards):05}.npy.zst"
        shards[name] = write_rows(partial / name, rows[:rows_of_shard])
        del rows[:rows_of_shard]

    with multiprocessing.Pool(jobs, _start_worker, (tokenizer_path,)) as pool:
        passes = _Passes(documents, config)
        work = pool.imap(_work, passes, chunksize=16)
        total = round(len(documents) * config.epochs) if isinstance(documents, Sized) else None
        for document, examples in tqdm(work, desc="pack", unit=" documents", total=total):
            if is_held_out(document, config.validation_stride):
                held_out.setdefault(document.language, []).extend(examples)
                continue
            for ids in examples:
                tokens[document.language] += len(ids)
                rows.extend(packer.add(ids))
            while len(rows) >= rows_of_shard:
                write_shard()
    rows.extend(packer.flush())
    if not rows and not shards:
        raise DataError("no document is left to train on: the corpus is too small")
    while rows:
        write_shard()
    for language, examples in held_out.items():
        packer = Packer(config.n_positions, form.pad, end_of_text)
        found = [row for ids in examples for row in packer.add(ids)] + list(packer.flush())
        name = f"val-{language}.npy.zst"
        shards[name] = write_rows(partial / name, found)
    description = {
        "n_positions": config.n_positions,
        "vocab_size": tokenizer.get_vocab_size(),
        "documents": dict(passes.documents),
        "held_out_documents": dict(passes.held_out),
        "tokens": dict(tokens),
        "pack": asdict(config),
        "files": shards,
    }
    (partial / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n")
    shutil.rmtree(out, ignore_errors=True)
    partial.rename(out)
    return description


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
