"""Implementations of santa_lsp.engine.Engine, a file each, and the choice between them."""

from __future__ import annotations

from collections.abc import Callable

from santa_lsp import models
from santa_lsp.models import machine
from santa_lsp.engines.budget import fastest
from santa_lsp.completion.engine import Engine
from santa_lsp.models import speeds
from santa_lsp.settings import Settings


def load_engine(settings: Settings) -> Engine:
    """Find, check and load the model of the settings. Raises ModelError, EngineError."""
    # Imported late: it takes longer than everything a server does before its first reply.
    from santa_lsp.engines.ctranslate2 import CTranslate2Engine

    model = models.find(settings.model)
    measured = [
        speed
        for speed in speeds.recall(model, settings.how)
        if settings.threads in (0, speed.threads)
    ]
    return CTranslate2Engine(
        model,
        device=settings.device,
        compute_type=settings.compute_type,
        threads=settings.threads,
        anchor_bytes=settings.anchor_memory_mb * 1_000_000,
        speed=fastest(measured) if measured else None,
    )


def calibrate(engine: Engine, settings: Settings, stopped: Callable[[], bool]) -> bool:
    """Measure the settings' model where that was never done, remember it, and use what is fastest.

    For idle time: the model is loaded anew for each number of threads. False when it was stopped;
    then all is as before. Raises EngineError.
    """
    from santa_lsp.engines.calibration import measure
    from santa_lsp.engines.ctranslate2 import CTranslate2Engine

    if engine.speed is not None or not isinstance(engine, CTranslate2Engine):
        return True
    before, measured = engine.threads, []
    choices = [settings.threads] if settings.threads else machine.thread_counts()
    for threads in choices if engine.device == "cpu" else [0]:
        engine.use_threads(threads)
        if (speed := measure(engine, threads, stopped)) is None:
            engine.use_threads(before)
            return False
        measured.append(speed)
    speeds.record(engine.model, measured, settings.how)
    engine.speed = fastest(measured)
    engine.use_threads(engine.speed.threads)
    return True
