"""The user's typing speed, and the debounce that follows from it."""

from __future__ import annotations

from collections import deque

#: Seconds between keys beyond which the user is thinking, not typing.
THINKING = 2.0
#: Seconds between keys before any were measured: 60 words a minute.
UNKNOWN = 0.2
#: Seconds that an automatic request waits for the next key at most.
MOST_DEBOUNCE = 0.15


class TypingSpeed:
    """The times between keys. All times are in seconds, of any steady clock."""

    def __init__(self) -> None:
        self._gaps: deque[float] = deque(maxlen=32)
        self._last: float | None = None

    def key(self, now: float) -> None:
        """Note a change of the text."""
        if self._last is not None and now - self._last < THINKING:
            self._gaps.append(now - self._last)
        self._last = now

    def typical(self) -> float:
        """The median time between two keys."""
        return self._quantile(0.5)

    def pause(self) -> float:
        """A gap between two keys that is rare while the user types."""
        return 1.5 * self._quantile(0.9)

    def debounce(self, expected: float, now: float) -> float:
        """How long an automatic request should wait for the next key, which would supersede it.

        `expected` is the time that an answer takes. If that is less than a key's, do not wait.
        Otherwise wait for the user's usual pause, less the time since the last key, and at most for
        half of `expected`.
        """
        if expected <= self.typical():
            return 0.0
        wait = min(self.pause(), expected / 2, MOST_DEBOUNCE)
        since = now - self._last if self._last is not None else wait
        return max(0.0, wait - since)

    def _quantile(self, share: float) -> float:
        if len(self._gaps) < 4:
            return UNKNOWN
        return sorted(self._gaps)[int(share * (len(self._gaps) - 1))]
