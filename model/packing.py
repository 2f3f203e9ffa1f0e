"""Documents -> rows of whole examples.

A document is cut at line ends into pieces that fit a row, so no example is torn apart. An example
ends with end-of-text, which appears nowhere else, and the next one starts after it. The one
exception, a piece of a longer document that was left as it is, has no end-of-text and is always the
last example of its row. Rows are filled up with `<fim-pad>`, which carries no loss and appears only
at their end. Special ids never come from text.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tokenizers import Tokenizer

from model.corpus import Document
from model.corpus.licences import without_header
from model.fim import FimConfig, example
from model.rows import DataError
from santa_lsp.families.prompt import END_OF_TEXT, FimIds, find_dialect, path_comment

#: Room for the FIM tokens, end-of-text, and the tokens that cutting inside a word adds.
SLACK = 10
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
    #: Factors on `epochs` by language, by package, and for `model.data.DOCUMENTED`; they multiply.
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


def special_ids(tokenizer: Tokenizer) -> tuple[FimIds, int]:
    """A tokenizer's fill-in-the-middle ids and its end-of-text. Raises DataError without them."""
    found = find_dialect(tokenizer.token_to_id)
    end_of_text = tokenizer.token_to_id(END_OF_TEXT)
    if found is None or end_of_text is None:
        raise DataError(
            "the tokenizer has no fill-in-the-middle tokens; train one with model.tokenizer"
        )
    return found[1], end_of_text


def examples_of(
    document: Document, tokenizer: Tokenizer, config: PackConfig, epoch: int
) -> list[list[int]]:
    """Token ids of a document's examples; each epoch is cut differently."""
    fim, end_of_text = special_ids(tokenizer)

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
        example(text, language, path, encode, fim, end_of_text, config.fim, rng, ends)
        for text, ends in pieces(without_header(document.text), tokenizer, length)
    ]
