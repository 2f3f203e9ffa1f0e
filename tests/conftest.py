"""Shared by all tests: a user's folder of their own, and the engine with the embedded model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from santa_lsp import EMBEDDED, models
from santa_lsp.engines import load_engine
from santa_lsp.engines.ctranslate2 import CTranslate2Engine
from santa_lsp.models import speeds
from santa_lsp.models.speeds import Measurement
from santa_lsp.settings import Settings


@pytest.fixture(scope="session", autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests and the processes they start keep for a user, they keep in a folder of theirs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SANTA_LSP_HOME", str(tmp_path_factory.mktemp("home")))
        # Measured already, and fast: what is answered must not depend on how busy the machine is.
        speeds.record(models.find(EMBEDDED), [Measurement(1, 20_000.0, 1_000.0)])
        yield


@pytest.fixture(scope="session")
def engine() -> CTranslate2Engine:
    loaded = load_engine(Settings(threads=1))
    assert isinstance(loaded, CTranslate2Engine)
    return loaded
