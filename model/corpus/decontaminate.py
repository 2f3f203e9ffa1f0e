"""Find evaluation texts in a corpus: any run of 13 words that an evaluation file also has.

Runs of numbers count too: a table of digits is left out with the text around it.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from .documents import CorpusError

N_WORDS = 13  # as GPT-3 (arXiv:2005.14165, appendix C)
_WORD = re.compile(r"\w+")


@dataclasses.dataclass(frozen=True, slots=True)
class Overlap:
    """The first run that a document shares with evaluation texts, and the sets that have any."""

    words: str
    sets: tuple[str, ...]


class EvaluationIndex:
    """All runs of `N_WORDS` words in the evaluation texts; shorter texts cannot be found."""

    def __init__(self, texts: Iterable[tuple[str, str]]) -> None:
        """``texts`` are pairs of an evaluation set's name and a text of it."""
        self._number: dict[str, int] = {}
        self._grams: dict[tuple[int, ...], int] = {}  # to the sets that have it, a bit for each
        self._sets: list[str] = []
        for name, text in texts:
            if name not in self._sets:
                self._sets.append(name)
            bit = 1 << self._sets.index(name)
            numbers = [self._number.setdefault(word, len(self._number)) for word in words(text)]
            for start in range(len(numbers) - N_WORDS + 1):
                gram = tuple(numbers[start : start + N_WORDS])
                self._grams[gram] = self._grams.get(gram, 0) | bit

    def __len__(self) -> int:
        return len(self._grams)

    def runs(self) -> dict[str, int]:
        """How many runs of words each evaluation set has."""
        return {
            name: sum(bits >> place & 1 for bits in self._grams.values())
            for place, name in enumerate(self._sets)
        }

    def overlap(self, found: list[str]) -> Overlap | None:
        """The overlap of a document's `words` with the evaluation texts; None if there is none."""
        run: list[int] = []
        first, sets = "", 0
        for position, word in enumerate(found):
            number = self._number.get(word)
            if number is None:  # a word that no evaluation text has ends every possible match
                run.clear()
                continue
            run.append(number)
            if len(run) >= N_WORDS and (bits := self._grams.get(tuple(run[-N_WORDS:]))):
                first = first or " ".join(found[position - N_WORDS + 1 : position + 1])
                sets |= bits
        if not sets:
            return None
        return Overlap(first, tuple(n for place, n in enumerate(self._sets) if sets >> place & 1))


def words(text: str) -> list[str]:
    """Words and numbers in lower case, without punctuation: formatting does not hide a copy."""
    return _WORD.findall(text.lower())


def read_evaluation_texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Every string of every ``*.jsonl.gz`` and ``*.jsonl`` under ``folder``, with its file's path.

    Raises CorpusError if there is no such file, or if one cannot be read.
    """
    files = sorted([*folder.rglob("*.jsonl.gz"), *folder.rglob("*.jsonl")])
    if not files:
        raise CorpusError(
            f"no *.jsonl.gz or *.jsonl under {folder}: give the evaluation folder with --eval-dir"
        )
    for file in files:
        opener = gzip.open if file.suffix == ".gz" else open
        try:
            with opener(file, "rt", encoding="utf-8") as lines:
                for line in lines:
                    for text in _strings(json.loads(line)):
                        yield file.relative_to(folder).as_posix(), text
        except (OSError, EOFError, ValueError) as error:
            raise CorpusError(f"cannot read the evaluation file {file}: {error}") from error


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
