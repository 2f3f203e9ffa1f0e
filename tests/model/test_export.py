from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from model import export
from model.checkpoint import load_model
from model.transformer import Transformer
from santa_lsp import models
from tests.support.checkpoints import write_checkpoint

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "sizes",
    [{}, {"n_head": 4, "n_layer": 3}, {"layer_norm_epsilon": 1e-2}],
    ids=["two heads", "four heads", "another epsilon"],
)
def test_the_converted_model_computes_the_same(tmp_path: Path, sizes: dict[str, float]) -> None:
    checkpoint = write_checkpoint(tmp_path, **sizes)  # type: ignore[arg-type]
    parity = export.measure_parity(checkpoint, rows=3)
    assert parity.max_difference <= export.TOLERANCE
    assert parity.int8_agreement > 0.8


def test_a_difference_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = write_checkpoint(tmp_path)

    def tampered(directory: Path) -> Transformer:
        model = load_model(directory)
        model.get_parameter("ln_f.bias").data += 0.1
        return model

    monkeypatch.setattr(export, "load_model", tampered)
    assert export.measure_parity(checkpoint, rows=1).max_difference > export.TOLERANCE


def test_the_command_writes_a_model_with_its_card(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "run" / "checkpoint")
    card = tmp_path / "card.json"
    card.write_text(json.dumps({"licence": "Apache-2.0", "languages": ["python"]}))
    argv = [str(checkpoint.parent), str(tmp_path / "out"), "--name", "mine", "--card", str(card)]
    done = subprocess.run(
        [sys.executable, "-m", "model.export", *argv], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "float32 logits differ by at most" in done.stdout
    model = models.open_model(tmp_path / "out")
    models.verify(model)
    assert (model.name, model.card["licence"]) == ("mine", "Apache-2.0")
