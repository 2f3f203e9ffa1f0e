from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from santa_lsp import models
from santa_lsp.models import EMBEDDED, FILES, ModelError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SANTA_LSP_HOME", str(tmp_path))
    return tmp_path


def copy_embedded(to: Path) -> Path:
    shutil.copytree(models.embedded_directory(), to)
    return to


def test_the_embedded_model_is_whole() -> None:
    model = models.find(EMBEDDED)
    models.verify(model)
    assert set(model.card["sha256"]) == set(FILES) - {"santa.json"}
    assert model.card["licence"] == "Apache-2.0"
    assert model.n_positions >= 512
    assert model.size < 90e6


def test_a_model_is_found_by_name_and_by_path(home: Path) -> None:
    copy_embedded(home / "models" / "mine")
    assert models.find("mine").directory == home / "models" / "mine"
    assert models.find(str(home / "models" / "mine")).name == EMBEDDED
    assert [model.directory.name for model in models.installed()] == [EMBEDDED, "mine"]


def test_an_unknown_model_names_the_known_ones(home: Path) -> None:
    with pytest.raises(ModelError, match=r"no model 'nothing'.*santa-mini"):
        models.find("nothing")


def test_a_checkpoint_is_told_from_a_model(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(ModelError, match="santa-lsp export"):
        models.find(str(tmp_path))


@pytest.mark.parametrize("missing", FILES)
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    directory = copy_embedded(tmp_path / "model")
    (directory / missing).unlink()
    with pytest.raises(ModelError, match=missing):
        models.open_model(directory)


@pytest.mark.parametrize("damaged", [name for name in FILES if name != "santa.json"])
def test_a_damaged_file_is_named(tmp_path: Path, damaged: str) -> None:
    directory = copy_embedded(tmp_path / "model")
    data = bytearray((directory / damaged).read_bytes())
    data[len(data) // 2] ^= 0x55
    (directory / damaged).write_bytes(data)
    with pytest.raises(ModelError, match=f"{damaged}.*again"):
        models.verify(models.open_model(directory))


def test_damaged_models_are_left_out_of_the_list(home: Path) -> None:
    copy_embedded(home / "models" / "bad")
    (home / "models" / "bad" / "santa.json").write_text("{")
    assert [model.name for model in models.installed()] == [EMBEDDED]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"name": "x"}', '{"name": 1, "n_positions": "many"}']
)
def test_a_damaged_description_says_what_to_do(tmp_path: Path, text: str) -> None:
    directory = copy_embedded(tmp_path / "model")
    (directory / "santa.json").write_text(text)
    with pytest.raises(ModelError, match=r"santa.json is damaged.*again"):
        models.open_model(directory)
