"""CTranslate2's model.bin read back: an installed model is a checkpoint too.

Version 6 of the file: header, then variables (name, shape, type, data), then aliases; integers are
little-endian, strings have a length and a closing zero. An int8 matrix has a `weight_scale` for
each row, and a value is the integer over the scale. What quantization rounded off stays lost.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from santa_lsp.convert.config import ModelConfig
from santa_lsp.convert.errors import ConvertError
from santa_lsp.convert.tensors import ITEM_SIZES, Array, Tensor, stored

MODEL_FILE = "model.bin"
_VERSION = 6
_SPECIFICATION = "TransformerDecoderSpec"
_DTYPES = ("float32", "int8", "int16", "int32", "float16", "bfloat16")
_SIZES = {**ITEM_SIZES, "int8": 1, "int16": 2, "int32": 4}
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


class _Reader:
    """Fields of a file, one after the other."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def number(self, kind: str) -> int:
        return int(struct.unpack(f"<{kind}", self.file.read(struct.calcsize(kind)))[0])

    def text(self) -> str:
        return self.file.read(self.number("H"))[:-1].decode()


class _Variables:
    """Where each variable lies in a file: (dtype, shape, offset) by name without `decoder/`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.places: dict[str, tuple[str, tuple[int, ...], int]] = {}
        with path.open("rb") as file:
            read = _Reader(file)
            if read.number("I") != _VERSION or read.text() != _SPECIFICATION:
                raise ConvertError(f"{path} is no decoder of CTranslate2's format {_VERSION}")
            read.number("I")  # the specification's revision
            for _ in range(read.number("I")):
                name = read.text().removeprefix("decoder/")
                shape = tuple(read.number("I") for _ in range(read.number("B")))
                dtype = _DTYPES[read.number("B")]
                size = read.number("I")
                if size != prod(shape) * _SIZES[dtype]:
                    raise ValueError(f"{name} has {size} bytes")
                self.places[name] = dtype, shape, file.tell()
                file.seek(size, 1)

    def integer(self, name: str) -> int:
        """A scalar. Raises KeyError when there is none."""
        return int(self.raw(name).item())

    def raw(self, name: str) -> NDArray[Any]:
        """An array as it is stored, but bfloat16. Raises KeyError when there is none."""
        dtype, shape, offset = self.places[name]
        kind = np.dtype(dtype).newbyteorder("<")
        return np.fromfile(self.path, kind, prod(shape), offset=offset).reshape(shape)

    def tensor(self, name: str) -> Tensor:
        """A float variable, or an int8 matrix times its scales."""
        dtype, shape, offset = self.places[name]
        if dtype != "int8":
            return stored(self.path, offset, dtype, shape)

        def read() -> Array:
            scale: Array = self.raw(f"{name}_scale")
            return self.raw(name).astype(np.float32) / scale[:, None]

        return Tensor(shape, read)


def read_model_bin(path: Path) -> tuple[ModelConfig, dict[str, Tensor]]:
    """The configuration and canonical tensors (see layouts), in the file still.

    Layer norms' epsilon comes from the `config.json` beside it. Raises ConvertError.
    """
    try:
        variables = _Variables(path)
        tensors = _canonical(variables)
        config = _config(variables, tensors, json.loads((path.parent / "config.json").read_text()))
    except (ValueError, KeyError, IndexError, struct.error, OSError) as error:
        raise ConvertError(f"{path} is damaged ({error!r}); install the model again") from error
    return config, tensors


def _canonical(variables: _Variables) -> dict[str, Tensor]:
    tensors = {}
    for name in variables.places:
        if canonical := _canonical_name(name):
            tensors[canonical] = variables.tensor(name)
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
    variables: _Variables, tensors: Mapping[str, Tensor], values: Mapping[str, Any]
) -> ModelConfig:
    vocab_size, n_embd = tensors["wte.weight"].shape
    return ModelConfig(
        vocab_size=vocab_size,
        n_positions=tensors["wpe.weight"].shape[0],
        n_embd=n_embd,
        n_layer=sum(name.endswith("mlp.c_fc.weight") for name in tensors),
        n_head=variables.integer("num_heads"),
        n_inner=tensors["h.0.mlp.c_fc.weight"].shape[0],
        activation_function=_ACTIVATIONS[variables.integer("activation")],
        layer_norm_epsilon=values.get("layer_norm_epsilon", 1e-5),
        scale_attn_weights="layer_0/self_attention/queries_scale" not in variables.places,
    )
