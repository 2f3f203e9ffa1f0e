"""How fast each model was on this machine when it was last measured."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from santa_lsp.models import machine
from santa_lsp.engines.budget import Speed
from santa_lsp.models import Model, home


def record(model: Model, speeds: Sequence[Speed], how: str = "") -> None:
    """Keep measurements with several numbers of threads, where the folder can be written.

    The model is known by its weights, whatever it is called; `how` tells ways to compute it apart.
    """
    measured = {**_read(), _key(model, how): [dataclasses.asdict(speed) for speed in speeds]}
    with suppress(OSError):
        _file().parent.mkdir(parents=True, exist_ok=True)
        _file().write_text(json.dumps(measured, indent=2) + "\n")


def recall(model: Model, how: str = "") -> list[Speed]:
    """What was kept; empty when it was never measured here."""
    try:
        kept = _read().get(_key(model, how), [])
        return [Speed(int(values.pop("threads")), **values) for values in kept]
    except (AttributeError, KeyError, TypeError):  # of another version
        return []


def _key(model: Model, how: str) -> str:
    weights = model.card["sha256"]["model.bin"]
    return " | ".join((str(weights), machine.processor(), str(machine.cores()), how))


def _file() -> Path:
    return home() / "speeds.json"


def _read() -> dict[str, list[dict[str, float]]]:
    try:
        measured: dict[str, list[dict[str, float]]] = json.loads(_file().read_text())
    except (OSError, ValueError):  # nothing measured yet, or a write that was cut short
        return {}
    return measured
