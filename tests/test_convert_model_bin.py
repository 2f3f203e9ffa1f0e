"""An installed model is a checkpoint too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from santa_lsp.convert import ConvertError, convert
from santa_lsp.convert.checkpoint import open_checkpoint
from tests.support.checkpoints import write_checkpoint


@pytest.mark.parametrize(
    ("quantization", "error"),
    [("float32", 0.0), ("float16", 1e-3), ("bfloat16", 8e-3), ("int8", 1 / 250)],
)
def test_an_installed_model_is_read_back(tmp_path: Path, quantization: str, error: float) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint", n_layer=11, layer_norm_epsilon=1e-3)
    model_dir = convert(checkpoint, tmp_path / "model", name="m", quantization=quantization)
    before, after = open_checkpoint(checkpoint), open_checkpoint(model_dir)
    assert after.architecture == before.architecture
    assert after.tensors.keys() == before.tensors.keys()
    for name, tensor in before.tensors.items():
        expected, got = tensor.read(), after.tensors[name].read()
        assert got.dtype == np.float32
        # int8 rounds to steps of a row's largest value, floats to steps of the value.
        largest = np.abs(expected).max(-1, keepdims=True) if quantization == "int8" else expected
        assert (np.abs(got - expected) <= error * np.abs(largest) + 1e-7).all(), name


def test_variants_survive(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(
        tmp_path / "checkpoint", activation_function="relu", scale_attn_weights=False
    )
    model_dir = convert(checkpoint, tmp_path / "model", name="m")
    architecture = open_checkpoint(model_dir).architecture
    assert (architecture.activation, architecture.attention_scale) == ("relu", 1.0)


def test_a_model_is_converted_again(tmp_path: Path) -> None:
    model_dir = convert(write_checkpoint(tmp_path / "checkpoint"), tmp_path / "int8", name="m")
    again = convert(model_dir, tmp_path / "again", name="m")
    assert (again / "model.bin").stat().st_size == (model_dir / "model.bin").stat().st_size
    before, after = open_checkpoint(model_dir), open_checkpoint(again)
    for name, tensor in before.tensors.items():
        np.testing.assert_allclose(after.tensors[name].read(), tensor.read(), rtol=1e-6)


@pytest.mark.parametrize("keep", [3, 40, 5000])
def test_a_damaged_file_is_an_error(tmp_path: Path, keep: int) -> None:
    model_dir = convert(write_checkpoint(tmp_path / "checkpoint"), tmp_path / "model", name="m")
    file = model_dir / "model.bin"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ConvertError, match=r"model\.bin"):
        open_checkpoint(model_dir)
