"""A small corpus and packed data, made once for the tests of training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from model import data, tokenizer
from model.corpus import Document
from model.fim import FimConfig
from model.packing import PackConfig
from tests.support.registry import Registry

ROOT = Path(__file__).parents[2]
# Models this small are slower with more threads, and many times slower on a busy machine.
torch.set_num_threads(1)


def documents() -> list[Document]:
    """The project's own sources, cut into many documents: real code that every checkout has."""
    found = []
    for file in sorted([*ROOT.glob("santa_lsp/*.py"), *ROOT.glob("model/*.py")]):
        lines = file.read_text().splitlines(keepends=True)
        for start in range(0, len(lines), 60):
            found.append(
                Document(
                    text="".join(lines[start : start + 60]),
                    language="python" if start % 120 else "java",
                    package=file.stem,
                    version="1",
                    registry="test",
                    licence="Apache-2.0",
                    path=f"{file.parent.name}/{file.name}:{start}",
                )
            )
    return found


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    return Registry(tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def tokenizer_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer.train((document.text for document in documents()), 600).save(str(path))
    return path


@pytest.fixture(scope="session")
def small_tokenizer(tokenizer_path: Path) -> Tokenizer:
    return tokenizer.load(tokenizer_path)


@pytest.fixture(scope="session")
def packed(tokenizer_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("packed")
    config = PackConfig(64, FimConfig(fim_rate=0.9, line_rate=0.5), 0, 1, validation_stride=8)
    data.pack(documents(), tokenizer_path, out, config, jobs=1)
    return out
