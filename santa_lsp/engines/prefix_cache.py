"""The prefix cache: starts of prompts whose state (keys and values) is computed once and kept.

CTranslate2 keeps the state of an identical start of a prompt (a static prompt) and cannot extend
it, so the end of a cached prefix decides the cost of every later keystroke. This module keeps the
books alone. A mistake in them costs time, never a wrong answer: CTranslate2 computes a prefix that
it does not have.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence

from santa_lsp.completion.engine import CacheCounts
from santa_lsp.families.prompt import PromptFormat

#: Tokens of a line above which a cached prefix may end inside it.
LONG_LINE = 32
#: Tokens before the cursor that the next keys may change (pre-tokens are seldom longer).
UNSETTLED = 8


class PrefixCache:
    """The cached prefixes of one loaded model, within a budget of memory. Thread-safe."""

    def __init__(
        self,
        *,
        prompt_format: PromptFormat,
        newlines: frozenset[int],
        bytes_per_token: int,
        most_bytes: int,
    ) -> None:
        """`newlines` are the ids of tokens with a line end in them."""
        self._format, self._newlines = prompt_format, newlines
        self._bytes_per_token, self._most_bytes = bytes_per_token, most_bytes
        self._held: dict[int, tuple[int, ...]] = {}  # by the hash of `_hashes`
        self._lock = threading.Lock()
        self._bytes = self._built = self._dropped = 0

    @property
    def counts(self) -> CacheCounts:
        """Memory in bytes now; prefixes built and dropped since the start."""
        return CacheCounts(self._bytes, self._built, self._dropped)

    def longest(self, prompt_ids: Sequence[int]) -> int:
        """Tokens in the longest cached prefix that is a proper start of the prompt, or 0."""
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
        """The best end of a prefix of this prompt: the next keys change no token before it.

        It is before the line end before the cursor (an indent typed later becomes one token with
        that), or some tokens before the cursor if its line is long. Less than the prompt's length.
        """
        first, end = self._format.prefix_part(prompt_ids)
        for index in range(end - 1, max(first, end - LONG_LINE) - 1, -1):
            if prompt_ids[index] in self._newlines:
                return index
        reach = end - UNSETTLED if end - first > LONG_LINE else first
        return min(reach, len(prompt_ids) - 1)

    def worth_building(self, prompt_ids: Sequence[int]) -> int:
        """The length of the prefix to cache on the way to a completion; 0 for none.

        Caching computes some tokens once more. It must save as many at the next keystroke already.
        """
        reach, held = self.boundary(prompt_ids), self.longest(prompt_ids)
        return reach if reach - held > held and self.has_room(reach) else 0

    def worth_preparing(self, prompt_ids: Sequence[int]) -> int:
        """The length of the prefix to cache while no request waits; 0 for none.

        A new prefix costs its whole length N, and a tail of t tokens costs t at each token typed.
        Their sum for each token typed is least when the tail may grow to the square root of 2 N.
        """
        reach = self.boundary(prompt_ids)
        return reach if reach - self.longest(prompt_ids) > math.isqrt(2 * reach) else 0

    def has_room(self, length: int) -> bool:
        """Whether one more prefix of that many tokens is within the budget."""
        return self._bytes + length * self._bytes_per_token <= self._most_bytes

    def fits(self, length: int) -> bool:
        """Whether a prefix of that many tokens is, without any others."""
        return length * self._bytes_per_token <= self._most_bytes

    def add(self, prefix_ids: Sequence[int]) -> None:
        """Note that the engine holds the state of these tokens."""
        *_, key = _hashes(prefix_ids)
        with self._lock:
            if self._held.get(key) != tuple(prefix_ids):
                self._held[key] = tuple(prefix_ids)
                self._bytes += len(prefix_ids) * self._bytes_per_token
                self._built += 1

    def clear(self) -> None:
        """Note that the engine has dropped all states."""
        with self._lock:
            self._dropped += len(self._held)
            self._bytes = 0
            self._held.clear()


def _hashes(ids: Sequence[int]) -> Iterator[int]:
    """A hash of each start of `ids`, shortest first."""
    key = 0
    for each in ids:
        key = hash((key, each))
        yield key
