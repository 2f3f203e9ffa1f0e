"""Computed completions, found again while the user types through them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b

from santa_lsp.completion.brackets import closed_by_editor, until_closed
from santa_lsp.completion.context import CompletionContext

#: Characters before the cursor that are compared as text; the others as a digest.
NEAR = 256

Key = tuple[str, int, bytes]


@dataclass(frozen=True, slots=True)
class Remembered:
    """The part of a completion that is left to type. `prefetched`: computed before a request."""

    text: str
    prefetched: bool = False


@dataclass(frozen=True, slots=True)
class _Entry:
    length: int  # of the prefix it was computed for
    near: str
    digest: bytes
    text: str
    prefetched: bool


def _digest(prefix: str, suffix: str) -> bytes:
    state = blake2b(prefix.encode(errors="surrogatepass"), digest_size=16)
    state.update(b"\0" + suffix.encode(errors="surrogatepass"))
    return state.digest()


class CompletionCache:
    """Least-recently-used completions by document. Thread-safe.

    A completion answers a context when the text around the cursor is the one it was computed for,
    plus zero or more of the completion's own first characters. The editor may have closed brackets
    and quotes of these after the cursor; the answer then ends before the completion closes them
    itself. The cache also remembers why there was nothing to show, for exactly the same context.
    """

    def __init__(self, capacity: int = 128) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self._reasons: OrderedDict[tuple[Key, str], str] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, context: CompletionContext, text: str, *, prefetched: bool = False) -> None:
        """Keep a completion."""
        digest = _digest(context.prefix, context.suffix)
        length = len(context.prefix)
        entry = _Entry(length, context.prefix[-NEAR:], digest, text, prefetched)
        with self._lock:
            key = (context.uri, length, digest)
            self._entries[key] = entry
            self._entries.move_to_end(key)
            while len(self._entries) > self._capacity:
                self._entries.popitem(last=False)

    def get(self, context: CompletionContext, *, peek: bool = False) -> Remembered | None:
        """The part of a cached completion that is left to type; None without one.

        `peek` does not count as a use.
        """
        with self._lock:
            candidates = [
                (key, entry)
                for key, entry in reversed(self._entries.items())
                if key[0] == context.uri
                and 0 <= len(context.prefix) - entry.length < len(entry.text)
            ]
        for key, entry in candidates:
            typed = context.prefix[entry.length :]
            before = context.prefix[: entry.length]
            if not entry.text.startswith(typed) or not before.endswith(entry.near):
                continue
            text = entry.text[len(typed) :]
            suffix = context.suffix
            if _digest(before, suffix) != entry.digest:
                closed = closed_by_editor(typed, suffix)
                text = until_closed(text, closed[0]) if closed else ""
                if not text or _digest(before, suffix[len(closed) :]) != entry.digest:
                    continue
            if not peek:
                with self._lock:
                    if key in self._entries:
                        self._entries.move_to_end(key)
            return Remembered(text, entry.prefetched)
        return None

    def put_nothing(self, context: CompletionContext, reason: str) -> None:
        """Keep the reason for showing nothing."""
        with self._lock:
            self._reasons[self._exactly(context)] = reason
            while len(self._reasons) > self._capacity:
                self._reasons.popitem(last=False)

    def get_nothing(self, context: CompletionContext) -> str | None:
        """The kept reason for showing nothing; None without one."""
        with self._lock:
            return self._reasons.get(self._exactly(context))

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self._reasons.clear()

    @staticmethod
    def _exactly(context: CompletionContext) -> tuple[Key, str]:
        digest = _digest(context.prefix, context.suffix)
        return (context.uri, len(context.prefix), digest), context.trigger
