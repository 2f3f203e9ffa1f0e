"""The whole bench: each session at each pace in a server of its own, then the probes."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from santa_lsp.bench import FORMAT, memory, session
from santa_lsp.bench.client import Client
from santa_lsp.bench.figures import add, figures
from santa_lsp.bench.probe import cancels, started
from santa_lsp.bench.replay import FAST, REAL, Replay
from santa_lsp.bench.soak import soak
from santa_lsp.bench.typist import Typist
from santa_lsp.models.machine import cores, processor

PACES = {pace.name: pace for pace in (REAL, FAST)}

#: Shares of the time for the replays at each pace and for cancelling; the others are for starts.
SHARE = {"real": 0.6, "fast": 0.2, "cancel": 0.1}

CANCELS = 40


@dataclass(frozen=True, slots=True)
class Plan:
    """The sessions and paces to replay, by name, for so many minutes at most in all."""

    sessions: tuple[str, ...]
    paces: tuple[str, ...]
    minutes: float
    seed: int = 0
    soak_keys: int = 0


def bench(argv: Sequence[str], options: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """Measure, and return the figures as `--json` writes them: latencies in ms, memory in bytes.

    Raises BenchError. `argv` starts the server, `options` are its initializationOptions.
    """
    result: dict[str, Any] = {
        "format": FORMAT,
        "server": "",
        "model": "",
        "machine": {"processor": processor(), "cores": cores(), "system": platform.system()},
        "seed": plan.seed,
        "start": {},
        "memory": {},
    }
    if plan.soak_keys:
        with started(argv, options, result["start"]) as client, _bar("soak", "key") as bar:
            bar.total = plan.soak_keys
            result["soak"] = soak(client, plan.soak_keys, plan.seed, bar.update)
            _note(client, result)
        return result
    result["sessions"] = list(plan.sessions)
    result["paces"] = {}
    for pace in plan.paces:
        seconds = 60 * plan.minutes * SHARE[pace] / len(plan.sessions)
        together: dict[str, Any] = {}
        for name in plan.sessions:
            with started(argv, options, result["start"]) as client:
                together = add(together, _replay(client, name, pace, seconds, plan.seed))
                _note(client, result)
        result["paces"][pace] = together
    with started(argv, options, result["start"]) as client, _bar("cancelling", "probe") as bar:
        bar.total = CANCELS
        result["cancel"] = cancels(client, CANCELS, 60 * plan.minutes * SHARE["cancel"], bar.update)
        _note(client, result)
    return result


def _replay(client: Client, name: str, pace: str, seconds: float, seed: int) -> dict[str, Any]:
    played = session.read(name)
    replay = Replay(client, played, PACES[pace], seed=seed)
    before = client.statistics()
    with _bar(f"{name}, {pace} pace", "key") as bar:
        bar.total = _keys(Typist(played, seed), seconds if pace == REAL.name else float("inf"))
        for _ in replay.play(seconds):
            bar.update()
    return figures(replay.requests, before)


def _keys(typist: Typist, seconds: float) -> int:
    """The number of keys that a person presses in so many seconds."""
    count, passed = 0, 0.0
    for key in typist.keystrokes():
        passed += key.delay
        if passed > seconds:
            break
        key.press()
        count += 1
    return count


def _note(client: Client, result: dict[str, Any]) -> None:
    """Note name, model and peak memory of a server before it ends."""
    assert client.process is not None
    result["server"], result["model"] = client.server, client.model
    if (peak := memory.peak(client.process.pid)) is not None:
        result["memory"]["peak"] = max(peak, result["memory"].get("peak", 0))


@contextmanager
def _bar(what: str, unit: str) -> Iterator[Any]:
    with tqdm(desc=what, unit=unit, leave=False) as bar:
        yield bar
