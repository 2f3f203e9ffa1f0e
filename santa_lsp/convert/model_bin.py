"""CTranslate2's model.bin read back: an installed model is a checkpoint too.

An int8 matrix has a `weight_scale` for each row, and a value is the integer over the scale. What
quantization rounded off stays lost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from santa_lsp.convert.config import ModelConfig
from santa_lsp.convert.errors import ConvertError
from santa_lsp.convert.tensors import Array, Tensor, stored
from santa_lsp.models import ModelError
from santa_lsp.models.model_bin import read_variables

MODEL_FILE = "model.bin"
#: CTranslate2's numbers of the activations, under names of transformers that mean the same.
_ACTIVATIONS = {0: "relu", 1: "gelu_pytorch_tanh", 2: "silu", 3: "gelu", 4: "quick_gelu"}

_NAMES = {
    "embeddings/weight": "wte.weight",
    "position_encodings/encodings": "wpe.weight",
    "layer_norm/gamma": "ln_f.weight",
    "layer_norm/beta": "ln_f.bias",
    "projection/weight": "lm_head.weight",
}
_LAYER_NAMES = {
    "self_attention/layer_norm/gamma": "ln_1.weight",
    "self_attention/layer_norm/beta": "ln_1.bias",
    "self_attention/linear_0/": "attn.c_attn.",
    "self_attention/linear_1/": "attn.c_proj.",
    "ffn/layer_norm/gamma": "ln_2.weight",
    "ffn/layer_norm/beta": "ln_2.bias",
    "ffn/linear_0/": "mlp.c_fc.",
    "ffn/linear_1/": "mlp.c_proj.",
}
_LAYER = re.compile(r"layer_(\d+)/(.+)")


class _Values:
    """The variables of a file, read one by one."""

    def __init__(self, path: Path) -> None:
        """Raises ModelError."""
        self.path, self.variables = path, read_variables(path)

    def integer(self, name: str) -> int:
        """A scalar. Raises KeyError when there is none."""
        return int(self.raw(name).item())

    def raw(self, name: str) -> NDArray[Any]:
        """An array as it is stored, but bfloat16. Raises KeyError when there is none."""
        found = self.variables[name]
        kind = np.dtype(found.dtype).newbyteorder("<")
        flat = np.fromfile(self.path, kind, prod(found.shape), offset=found.offset)
        return flat.reshape(found.shape)

    def tensor(self, name: str) -> Tensor:
        """A float variable, or an int8 matrix times its scales."""
        found = self.variables[name]
        if found.dtype != "int8":
            return stored(self.path, found.offset, found.dtype, found.shape)

        def read() -> Array:
            scale: Array = self.raw(f"{name}_scale")
            return self.raw(name).astype(np.float32) / scale[:, None]

        return Tensor(found.shape, read)


def read_model_bin(path: Path) -> tuple[ModelConfig, dict[str, Tensor]]:
    """The configuration and canonical tensors (see layouts), in the file still.

    Layer norms' epsilon comes from the `config.json` beside it. Raises ConvertError.
    """
    try:
        values = _Values(path)
        tensors = _canonical(values)
        beside = json.loads((path.parent / "config.json").read_text())
        return _config(values, tensors, beside), tensors
    except ModelError as error:
        raise ConvertError(str(error)) from error
    except (ValueError, KeyError, IndexError, OSError) as error:
        raise ConvertError(f"{path} is damaged ({error!r}); install the model again") from error


def _canonical(values: _Values) -> dict[str, Tensor]:
    tensors = {}
    for name in values.variables:
        if canonical := _canonical_name(name):
            tensors[canonical] = values.tensor(name)
    return tensors


def _canonical_name(name: str) -> str | None:
    """None for what is no tensor of the checkpoint: scales and settings."""
    if name.endswith("_scale"):
        return None
    match = _LAYER.fullmatch(name)
    if match is None:
        return _NAMES.get(name)
    for theirs, ours in _LAYER_NAMES.items():
        if match[2].startswith(theirs):
            return f"h.{match[1]}.{ours}{match[2].removeprefix(theirs)}"
    return None


def _config(
    values: _Values, tensors: Mapping[str, Tensor], beside: Mapping[str, Any]
) -> ModelConfig:
    vocab_size, n_embd = tensors["wte.weight"].shape
    return ModelConfig(
        vocab_size=vocab_size,
        n_positions=tensors["wpe.weight"].shape[0],
        n_embd=n_embd,
        n_layer=sum(name.endswith("mlp.c_fc.weight") for name in tensors),
        n_head=values.integer("num_heads"),
        n_inner=tensors["h.0.mlp.c_fc.weight"].shape[0],
        activation_function=_ACTIVATIONS[values.integer("activation")],
        layer_norm_epsilon=beside.get("layer_norm_epsilon", 1e-5),
        scale_attn_weights="layer_0/self_attention/queries_scale" not in values.variables,
    )
