"""The server's memory over many keystrokes in many files, as fast as it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import Any

from santa_lsp.bench import memory, session
from santa_lsp.bench.client import Client
from santa_lsp.bench.replay import FAST, Replay
from santa_lsp.bench.session import Session
from santa_lsp.bench.typist import Key
from santa_lsp.languages import language

FILES = 20

#: Keys in one file before the user turns to the next.
BURST = 25


def soak(client: Client, keys: int, seed: int, on_key: Callable[[], object]) -> dict[str, Any]:
    """`samples` has, after each turn through the files, the number of keys so far and the bytes
    that the server held, in all and in its prefix cache."""
    assert client.process is not None
    pid = client.process.pid
    sessions = [session.read(name) for name in session.names()]
    files = [_typed(client, _own(sessions[n % len(sessions)], n), seed + n) for n in range(FILES)]
    samples = [_sample(client, pid, 0)]
    for pressed in range(1, keys + 1):
        next(files[(pressed - 1) // BURST % FILES])
        on_key()
        if pressed % (BURST * FILES) == 0 or pressed == keys:
            samples.append(_sample(client, pid, pressed))
    return {"keys": keys, "files": FILES, "samples": samples}


def _own(of: Session, number: int) -> Session:
    """The session in a file that differs from all others."""
    comment = f"{language(of.language).comment} Copy {number}, not the same as the others.\n"
    return replace(of, file=f"{number}-{of.file}", text=comment + of.text)


def _typed(client: Client, own: Session, seed: int) -> Iterator[Key]:
    """Play a session again and again, with other times between keys."""
    for again in count():
        yield from Replay(client, own, FAST, seed=seed + FILES * again).play()


def _sample(client: Client, pid: int, pressed: int) -> dict[str, int | None]:
    counters = client.statistics() or {}
    return {
        "keys": pressed,
        "resident": memory.resident(pid),
        "prefix cache": counters.get("prefixCache", {}).get("bytes"),
    }
