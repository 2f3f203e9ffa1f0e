"""The measured speed of each model on this machine, kept in a file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from santa_lsp.models import Model, home, machine
from santa_lsp.models.files import write_whole

#: Tokens of a usual request: the line so far, prefilled after a cached prefix, and its completion.
TAIL, LINE = 16, 16


@dataclass(frozen=True, slots=True)
class Measurement:
    """The speed of a model on this machine with a number of threads (0: on a GPU)."""

    threads: int
    prefill_tokens_per_second: float
    decode_tokens_per_second: float

    @property
    def usual_seconds(self) -> float:
        """The time of a usual request with its prefix cached."""
        return TAIL / self.prefill_tokens_per_second + LINE / self.decode_tokens_per_second


def fastest(measurements: Sequence[Measurement]) -> Measurement:
    """The measurement with the least time for a usual request."""
    return min(measurements, key=lambda each: each.usual_seconds)


def record(model: Model, measurements: Sequence[Measurement], speed_key: str = "") -> None:
    """Keep measurements with several numbers of threads, if the folder can be written.

    The key is the model's weights, not its name; `speed_key` tells ways to compute it apart.
    """
    rows = [dataclasses.asdict(each) for each in measurements]
    with suppress(OSError):
        write_whole(_file(), json.dumps({**_read(), _key(model, speed_key): rows}, indent=2) + "\n")


def recall(model: Model, speed_key: str = "") -> list[Measurement]:
    """The kept measurements; empty if the model was never measured here."""
    try:
        kept = _read().get(_key(model, speed_key), [])
        return [Measurement(int(row.pop("threads")), **row) for row in kept]
    except (AttributeError, KeyError, TypeError):  # written by another version
        return []


def _key(model: Model, speed_key: str) -> str:
    weights = model.card["sha256"]["model.bin"]
    return " | ".join((str(weights), machine.processor(), str(machine.cores()), speed_key))


def _file() -> Path:
    return home() / "speeds.json"


def _read() -> dict[str, list[dict[str, float]]]:
    try:
        measured: dict[str, list[dict[str, float]]] = json.loads(_file().read_text())
    except (OSError, ValueError):  # no file yet, or a damaged one
        return {}
    return measured if isinstance(measured, dict) else {}
