"""Find evaluation texts in a corpus: any run of 13 words that an evaluation file also has."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

from .documents import CorpusError

N_WORDS = 13  # as GPT-3 (arXiv:2005.14165, appendix C)
_WORD = re.compile(r"\w+")


class EvaluationIndex:
    """All runs of `N_WORDS` words in the evaluation texts; shorter texts cannot be found."""

    def __init__(self, texts: Iterator[str] | list[str]) -> None:
        self._number: dict[str, int] = {}
        self._grams: set[tuple[int, ...]] = set()
        for text in texts:
            numbers = [self._number.setdefault(word, len(self._number)) for word in words(text)]
            self._grams.update(
                tuple(numbers[i : i + N_WORDS]) for i in range(len(numbers) - N_WORDS + 1)
            )

    def __len__(self) -> int:
        return len(self._grams)

    def overlap(self, found: list[str]) -> str | None:
        """The first run of a document's `words` that an evaluation text has too, or None."""
        run: list[int] = []
        for position, word in enumerate(found):
            number = self._number.get(word)
            if number is None:  # a word that no evaluation text has ends every possible match
                run.clear()
                continue
            run.append(number)
            if len(run) >= N_WORDS and tuple(run[-N_WORDS:]) in self._grams:
                return " ".join(found[position - N_WORDS + 1 : position + 1])
        return None


def words(text: str) -> list[str]:
    """Words and numbers in lower case, without punctuation: formatting does not hide a copy."""
    return _WORD.findall(text.lower())


def read_evaluation_texts(folder: Path) -> Iterator[str]:
    """Every string of every ``*.jsonl.gz`` and ``*.jsonl`` under ``folder``.

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
                    yield from _strings(json.loads(line))
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
