"""Implementations of santa_lsp.completion.engine.Engine, one in a file, and the choice of one.

An engine owns prompt, token budget and reuse of computed state. It must not know of editors,
requests or the protocol. Only this room and `convert` import CTranslate2 and tokenizers.
"""

from __future__ import annotations

from santa_lsp.completion.engine import Engine, Stop
from santa_lsp.models import find, machine, speeds
from santa_lsp.settings import Settings


def load_engine(settings: Settings) -> Engine:
    """Find, check and load the model of the settings. Raises ModelError, EngineError."""
    # Imported late: it takes longer than all of the server's work before its first reply.
    from santa_lsp.engines.ctranslate2 import CTranslate2Engine

    model = find(settings.model)
    measured = [
        each
        for each in speeds.recall(model, settings.speed_key)
        if settings.threads in (0, each.threads)
    ]
    return CTranslate2Engine(
        model,
        device=settings.device,
        compute_type=settings.compute_type,
        threads=settings.threads,
        prefix_cache_bytes=settings.prefix_cache_memory_mb * 1_000_000,
        speed=speeds.fastest(measured) if measured else None,
    )


def calibrate(engine: Engine, settings: Settings, stop: Stop) -> bool:
    """Measure a model that was never measured here, remember its speed, and use the best threads.

    For idle time: the model is loaded anew for each number of threads. False when it was stopped;
    then nothing has changed. Raises EngineError.
    """
    if engine.speed is not None:
        return True
    from santa_lsp.engines.calibration import measure
    from santa_lsp.engines.ctranslate2 import CTranslate2Engine

    if not isinstance(engine, CTranslate2Engine):
        return True
    before, measured = engine.threads, []
    choices = [settings.threads] if settings.threads else machine.thread_counts()
    for threads in choices if engine.device == "cpu" else [0]:
        engine.use_threads(threads)
        if (speed := measure(engine, threads, stop)) is None:
            engine.use_threads(before)
            return False
        measured.append(speed)
    speeds.record(engine.model, measured, settings.speed_key)
    engine.speed = speeds.fastest(measured)
    engine.use_threads(engine.speed.threads)
    return True
