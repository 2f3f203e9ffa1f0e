"""Completions already computed, found again while the user types through them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b

from santa_lsp.context import CompletionContext

#: Characters before the cursor that are compared as text; what is further away, as a digest.
NEAR = 256


@dataclass(frozen=True, slots=True)
class _Entry:
    length: int  # of the prefix it was computed for
    near: str
    digest: bytes
    text: str


def _digest(prefix: str, suffix: str) -> bytes:
    state = blake2b(prefix.encode(errors="surrogatepass"), digest_size=16)
    state.update(b"\0" + suffix.encode(errors="surrogatepass"))
    return state.digest()


class CompletionCache:
    """Least-recently-used completions by document. Thread-safe.

    A completion answers a context when the text around the cursor is the one it was computed for,
    plus zero or more characters that are the completion's own first characters.
    """

    def __init__(self, capacity: int = 128) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[tuple[str, int, bytes], _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, context: CompletionContext, text: str) -> None:
        digest = _digest(context.prefix, context.suffix)
        entry = _Entry(len(context.prefix), context.prefix[-NEAR:], digest, text)
        with self._lock:
            key = (context.uri, entry.length, digest)
            self._entries[key] = entry
            self._entries.move_to_end(key)
            while len(self._entries) > self._capacity:
                self._entries.popitem(last=False)

    def get(self, context: CompletionContext) -> str | None:
        """What is left to type of a cached completion; None without one."""
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
            if (
                entry.text.startswith(typed)
                and before.endswith(entry.near)
                and _digest(before, context.suffix) == entry.digest
            ):
                with self._lock:
                    if key in self._entries:
                        self._entries.move_to_end(key)
                return entry.text[len(typed) :]
        return None

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
