"""CTranslate2's model.bin read back: an installed model is a checkpoint too.

An int8 matrix has a `weight_scale` for each row, and a value is the integer over the scale. What
quantization rounded off stays lost, and so do multipliers that went into the weights.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from santa_lsp import families
from santa_lsp.convert.errors import ConvertError
from santa_lsp.convert.files import read_json
from santa_lsp.convert.tensors import Array, Tensor, stored
from santa_lsp.families.architecture import (
    Activation,
    Architecture,
    FamilyError,
    LinearScaling,
    Llama3Scaling,
    Rotary,
)
from santa_lsp.families.family import Family
from santa_lsp.models import ModelError
from santa_lsp.models.model_bin import read_variables

#: By CTranslate2's numbers.
_ACTIVATIONS: tuple[Activation, ...] = ("relu", "gelu_tanh", "silu", "gelu", "quick_gelu")
_LINEAR, _LLAMA3 = 0, 2  # kinds of scaled positions, by its numbers

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
    "ffn/linear_0_noact/": "mlp.c_fc.",
    "ffn/linear_0/": "mlp.c_fc.",
    "ffn/linear_1/": "mlp.c_proj.",
}
_LAYER = re.compile(r"layer_(\d+)/(.+)")
_ATTENTION = "layer_0/self_attention"


class _Values:
    """The variables of a file, read one by one."""

    def __init__(self, path: Path) -> None:
        """Raises ModelError."""
        self.path, self.variables = path, read_variables(path)

    def __contains__(self, name: str) -> bool:
        return name in self.variables

    def number(self, name: str, default: float | None = None) -> float:
        """A scalar. Raises KeyError when there is none and no default."""
        if default is not None and name not in self.variables:
            return default
        return float(self.raw(name).item())

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
            array = self.raw(name).astype(np.float32)
            array /= scale[:, None]
            return array

        return Tensor(found.shape, read)


def read_model_bin(
    path: Path, card: Mapping[str, Any]
) -> tuple[Family, Architecture, dict[str, Tensor]]:
    """The family, the architecture and canonical tensors, which stay in the file.

    Norms' epsilon comes from the `config.json` beside it, the family and with rotary positions
    their number from the model's `card`. Raises ConvertError.
    """
    try:
        values = _Values(path)
        tensors = _canonical(values)
        beside = read_json(path.with_name("config.json"))
        architecture = _architecture(values, tensors, beside, card)
        return _family(card, architecture), architecture, tensors
    except ModelError as error:
        raise ConvertError(str(error)) from error
    except (ValueError, KeyError, IndexError, OSError) as error:
        raise ConvertError(f"{path} is damaged ({error!r}); install the model again") from error


def _family(card: Mapping[str, Any], architecture: Architecture) -> Family:
    # Cards named no family when there was only one.
    family = families.family_named(str(card.get("family", "gpt_bigcode")))
    if (family.name == "gpt_bigcode") != (architecture.rotary is None):
        raise FamilyError(f"the model is of another family than its card says, {family.name}")
    return family


def _canonical(values: _Values) -> dict[str, Tensor]:
    gated = "layer_0/ffn/linear_0_noact/weight" in values
    tensors = {}
    for name in values.variables:
        if canonical := _canonical_name(name, gated):
            tensors[canonical] = values.tensor(name)
    return tensors


def _canonical_name(name: str, gated: bool) -> str | None:
    """None for what is no tensor of the checkpoint: scales and settings."""
    if name.endswith("_scale"):
        return None
    match = _LAYER.fullmatch(name)
    if match is None:
        return _NAMES.get(name)
    if gated and match[2].startswith("ffn/linear_0/"):
        return f"h.{match[1]}.mlp.c_gate.{match[2].removeprefix('ffn/linear_0/')}"
    for theirs, ours in _LAYER_NAMES.items():
        if match[2].startswith(theirs):
            return f"h.{match[1]}.{ours}{match[2].removeprefix(theirs)}"
    return None


def _architecture(
    values: _Values,
    tensors: Mapping[str, Tensor],
    beside: Mapping[str, Any],
    card: Mapping[str, Any],
) -> Architecture:
    vocab_size, n_embd = tensors["wte.weight"].shape
    n_head = int(values.number("num_heads"))
    head_dim = tensors["h.0.attn.c_proj.weight"].shape[1] // n_head
    rows = tensors["h.0.attn.c_attn.weight"].shape[0]
    rotary = _rotary(values, head_dim)
    learned = tensors.get("wpe.weight")
    rms = "ln_f.bias" not in tensors
    score = values.number(f"{_ATTENTION}/queries_scale", 0.0)
    return Architecture(
        vocab_size=vocab_size,
        n_positions=learned.shape[0] if learned else int(card["n_positions"]),
        n_layer=sum(name.endswith("mlp.c_fc.weight") for name in tensors),
        n_embd=n_embd,
        n_inner=tensors["h.0.mlp.c_fc.weight"].shape[0],
        n_head=n_head,
        n_kv_head=(rows // head_dim - n_head) // 2,
        head_dim=head_dim,
        norm="rms" if rms else "layer",
        norm_epsilon=beside.get("layer_norm_epsilon", 1e-5),
        norm_bias=not rms,
        rotary=rotary,
        activation=_ACTIVATIONS[int(values.number("activation"))],
        gated="h.0.mlp.c_gate.weight" in tensors,
        qkv_bias="h.0.attn.c_attn.bias" in tensors,
        attention_output_bias="h.0.attn.c_proj.bias" in tensors,
        mlp_bias="h.0.mlp.c_fc.bias" in tensors,
        tied="lm_head.weight" not in tensors,
        # A flag of one byte, or the scale itself.
        embedding_scale=values.number("scale_embeddings") or 1.0,
        attention_scale=score or None,
        logit_scale=values.number("scale_outputs", 1.0),
    )


def _rotary(values: _Values, head_dim: int) -> Rotary | None:
    def number(name: str, default: float | None = None) -> float:
        return values.number(f"{_ATTENTION}/{name}", default)

    if f"{_ATTENTION}/rotary_dim" not in values:
        return None
    kind = number("rotary_scaling_type", -1)
    scaling: LinearScaling | Llama3Scaling | None = None
    if kind == _LINEAR:
        scaling = LinearScaling(number("rotary_scaling_factor"))
    elif kind == _LLAMA3:
        scaling = Llama3Scaling(
            number("rotary_scaling_factor"),
            number("rotary_low_freq_factor"),
            number("rotary_high_freq_factor"),
            int(number("original_max_position_embeddings")),
        )
    return Rotary(
        dim=int(number("rotary_dim")) or head_dim,
        base=number("rotary_base"),
        interleave=bool(number("rotary_interleave")),
        scaling=scaling,
    )
