"""Implementations of santa_lsp.engine.Engine, a file each, and the choice between them."""

from __future__ import annotations

from santa_lsp import models
from santa_lsp.engine import Engine
from santa_lsp.settings import Settings


def load_engine(settings: Settings) -> Engine:
    """Find, check and load the model of the settings. Raises ModelError, EngineError."""
    # Imported late: it takes longer than everything a server does before its first reply.
    from santa_lsp.engines.ctranslate2 import CTranslate2Engine

    return CTranslate2Engine(
        models.find(settings.model),
        device=settings.device,
        compute_type=settings.compute_type,
        threads=settings.threads,
        anchor_bytes=settings.anchor_memory_mb * 1_000_000,
    )
