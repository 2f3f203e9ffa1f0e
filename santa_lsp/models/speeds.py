"""How fast each model was on this machine when it was last measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from santa_lsp.models import Model, home


def record(model: Model, speed: Mapping[str, float]) -> None:
    """Keep a measurement (see santa_lsp.doctor.measure) where the folder can be written.

    The model is known by its weights, whatever it is called.
    """
    measured = {**_read(), _key(model): dict(speed)}
    with suppress(OSError):
        _file().parent.mkdir(parents=True, exist_ok=True)
        _file().write_text(json.dumps(measured, indent=2) + "\n")


def recall(model: Model) -> Mapping[str, float] | None:
    return _read().get(_key(model))


def _key(model: Model) -> str:
    return str(model.card["sha256"]["model.bin"])


def _file() -> Path:
    return home() / "speeds.json"


def _read() -> dict[str, dict[str, float]]:
    try:
        measured: dict[str, dict[str, float]] = json.loads(_file().read_text())
    except (OSError, ValueError):  # nothing measured yet, or a write that was cut short
        return {}
    return measured
