"""Anchors: starts of prompts whose state (keys and values) the engine keeps, to compute it once.

CTranslate2 keeps the state of an identical start of a prompt (a static prompt) and cannot extend
one, so where an anchor ends decides what every later keystroke costs. What is kept here is
bookkeeping only: an anchor that CTranslate2 does not have after all is computed, never a wrong
answer.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from santa_lsp.completion.engine import AnchorCounts
from santa_lsp.models.model_bin import read_variables
from santa_lsp.families.prompt import FimIds, Order

#: A line of more tokens than this is not waited out: an anchor may end inside it.
LONG_LINE = 32
#: Tokens before the cursor that the next keys may still change (pre-tokens are seldom longer).
UNSETTLED = 8


class Anchors:
    """The anchors of one loaded model, within a budget of memory. Thread-safe."""

    def __init__(
        self,
        *,
        fim: FimIds | None,
        order: Order,
        newlines: frozenset[int],
        bytes_per_token: int,
        most_bytes: int,
    ) -> None:
        """`newlines` are the ids of tokens with a line end in them."""
        self._fim, self._order, self._newlines = fim, order, newlines
        self._bytes_per_token, self._most_bytes = bytes_per_token, most_bytes
        self._held: dict[int, tuple[int, ...]] = {}  # by the hash of `_hashes`
        self._lock = threading.Lock()
        self.counts = AnchorCounts()

    def longest(self, prompt_ids: Sequence[int]) -> int:
        """Tokens in the longest anchor that the prompt starts with and goes beyond; 0 without."""
        with self._lock:
            if not self._held:
                return 0
            found = 0
            for length, key in enumerate(_hashes(prompt_ids[:-1]), 1):
                held = self._held.get(key)
                if held is not None and held == tuple(prompt_ids[:length]):
                    found = length
            return found

    def boundary(self, prompt_ids: Sequence[int]) -> int:
        """Where an anchor for this prompt should end, so that the next keys leave it as it is.

        That is before the line end before the cursor (an indent typed later becomes one token with
        it), or some tokens before the cursor where its line is long. Always less than the
        prompt's length.
        """
        first, end = self._prefix_part(prompt_ids)
        for index in range(end - 1, max(first, end - LONG_LINE) - 1, -1):
            if prompt_ids[index] in self._newlines:
                return index
        reach = end - UNSETTLED if end - first > LONG_LINE else first
        return min(reach, len(prompt_ids) - 1)

    def worth_building(self, prompt_ids: Sequence[int]) -> int:
        """How far an anchor should reach that is computed on the way to a completion; 0: none.

        Only if the very next keystroke saves the tokens that are computed once more for it.
        """
        reach, held = self.boundary(prompt_ids), self.longest(prompt_ids)
        return reach if reach - held > held and self.has_room(reach) else 0

    def worth_preparing(self, prompt_ids: Sequence[int]) -> int:
        """How far an anchor should reach that is computed while nobody waits; 0: none is needed.

        A new anchor costs its whole length N, and a tail of t tokens costs t at each token typed:
        together least, for each token typed, when the tail may grow to the square root of 2 N.
        """
        reach = self.boundary(prompt_ids)
        return reach if reach - self.longest(prompt_ids) > math.isqrt(2 * reach) else 0

    def has_room(self, length: int) -> bool:
        """Whether an anchor of that many tokens is within the budget."""
        return self.counts.bytes + length * self._bytes_per_token <= self._most_bytes

    def fits(self, length: int) -> bool:
        """Whether it would be, were all others dropped."""
        return length * self._bytes_per_token <= self._most_bytes

    def add(self, anchor: Sequence[int]) -> None:
        """The engine now holds the state of `anchor`."""
        *_, key = _hashes(anchor)
        with self._lock:
            if self._held.get(key) != tuple(anchor):
                self._held[key] = tuple(anchor)
                self.counts.bytes += len(anchor) * self._bytes_per_token
                self.counts.built += 1

    def clear(self) -> None:
        """The engine has dropped all of them."""
        with self._lock:
            self.counts.dropped += len(self._held)
            self.counts.bytes = 0
            self._held.clear()

    def _prefix_part(self, prompt_ids: Sequence[int]) -> tuple[int, int]:
        """Where the text before the cursor begins and ends among the ids."""
        if self._fim is None:
            return 0, len(prompt_ids)
        try:
            if self._order == "psm":
                return 1, prompt_ids.index(self._fim.suffix)
            return prompt_ids.index(self._fim.middle) + 1, len(prompt_ids)
        except ValueError:  # not a prompt of ours
            return 0, len(prompt_ids)


def _hashes(ids: Sequence[int]) -> Iterator[int]:
    """A hash of each start of `ids`, shortest first."""
    key = 0
    for each in ids:
        key = hash((key, each))
        yield key


def state_bytes_per_token(model_bin: Path) -> int:
    """What CTranslate2 keeps of one token, in bytes: keys and values of all layers, as float32.

    From the shapes in the file: an attention's first projection makes queries (as many as it has
    inputs), keys and values. Raises ModelError.
    """
    variables = read_variables(model_bin).items()
    projections = [each for name, each in variables if name.endswith("attention/linear_0/weight")]
    return sum(4 * (outputs - inputs) for outputs, inputs in (each.shape for each in projections))
