"""Canonical tensors -> CTranslate2's specification, which reads and quantizes one at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np
from ctranslate2.specs import attention_spec, common_spec, model_spec, transformer_spec

from santa_lsp.convert.errors import ConvertError
from santa_lsp.convert.tensors import ITEM_SIZES, Array, Tensor, encode, scaled
from santa_lsp.families.architecture import Architecture, LinearScaling, Llama3Scaling

_ACTIVATIONS = {
    "gelu": common_spec.Activation.GELU,
    "gelu_tanh": common_spec.Activation.GELUTanh,
    "quick_gelu": common_spec.Activation.GELUSigmoid,
    "relu": common_spec.Activation.RELU,
    "silu": common_spec.Activation.SWISH,
}
_Scaling = attention_spec.RotaryScalingType


def build_spec(
    tensors: Mapping[str, Tensor],
    architecture: Architecture,
    vocabulary: list[str],
    end_token: str,
    on_read: Callable[[], None] = lambda: None,
) -> transformer_spec.TransformerDecoderModelSpec:
    """The model, unquantized and still on disk; `on_read` is called as each tensor is read."""
    spec = transformer_spec.TransformerDecoderModelSpec.from_config(
        architecture.n_layer, architecture.n_head, **_options(architecture)
    )
    decoder = spec.decoder
    fill = _Filler(tensors, on_read)
    scale = architecture.embedding_scale
    decoder.scale_embeddings = False if scale == 1 else np.float32(scale)
    if architecture.logit_scale != 1:
        decoder.scale_outputs = np.float32(architecture.logit_scale)
    decoder.embeddings.weight = fill.variable("wte.weight")
    if architecture.rotary is None:
        decoder.position_encodings.encodings = fill.variable("wpe.weight")
    fill.norm(decoder.layer_norm, "ln_f")
    decoder.projection.weight = fill.variable(
        "wte.weight" if architecture.tied else "lm_head.weight"
    )
    for index, layer in enumerate(decoder.layer):
        _fill_layer(layer, f"h.{index}", architecture, fill)
    spec.config.layer_norm_epsilon = architecture.norm_epsilon
    spec.config.bos_token = spec.config.eos_token = spec.config.unk_token = end_token
    spec.register_vocabulary(vocabulary)
    return spec


def state_bytes_per_token(architecture: Architecture) -> int:
    """What CTranslate2 keeps of a token on a CPU: float32 keys and values of every layer.

    CTranslate2 4.8 keeps a copy for each query head, also where several share a key/value head;
    one key/value head alone is kept once (see `_fill_layer`).
    """
    heads = 1 if architecture.n_kv_head == 1 else architecture.n_head
    return 2 * 4 * architecture.n_layer * heads * architecture.head_dim


def _options(architecture: Architecture) -> dict[str, Any]:
    """Arguments of CTranslate2's `from_config`."""
    options: dict[str, Any] = {
        "pre_norm": True,
        "activation": _ACTIVATIONS[architecture.activation],
        "ffn_glu": architecture.gated,
        "rms_norm": architecture.norm == "rms",
    }
    if architecture.n_kv_head < architecture.n_head:
        options["num_heads_kv"] = architecture.n_kv_head
    if architecture.n_head * architecture.head_dim != architecture.n_embd:
        options["head_dim"] = architecture.head_dim
    if (rotary := architecture.rotary) is not None:
        options |= {
            "rotary_dim": 0 if rotary.dim == architecture.head_dim else rotary.dim,
            "rotary_interleave": rotary.interleave,
            "rotary_base": rotary.base,
        }
        if isinstance(rotary.scaling, LinearScaling):
            options["rotary_scaling_type"] = _Scaling.Linear
            options["rotary_scaling_factor"] = rotary.scaling.factor
        elif isinstance(rotary.scaling, Llama3Scaling):
            options["rotary_scaling_type"] = _Scaling.Llama3
            options["original_max_position_embeddings"] = rotary.scaling.n_positions
    return options


class _Filler:
    """Puts tensors into the parts of a specification."""

    def __init__(self, tensors: Mapping[str, Tensor], on_read: Callable[[], None]) -> None:
        self._tensors, self._on_read = tensors, on_read

    def variable(self, name: str, factor: float = 1.0) -> _Variable:
        tensor = self._tensors[name]
        return _Variable(name, tensor if factor == 1 else scaled(tensor, factor), self._on_read)

    def norm(self, norm: Any, name: str) -> None:
        norm.gamma = self.variable(f"{name}.weight")
        if f"{name}.bias" in self._tensors:
            norm.beta = self.variable(f"{name}.bias")

    def linear(self, linear: Any, name: str, factor: float = 1.0) -> None:
        linear.weight = self.variable(f"{name}.weight", factor)
        if f"{name}.bias" in self._tensors:
            linear.bias = self.variable(f"{name}.bias", factor)


def _fill_layer(layer: Any, block: str, architecture: Architecture, fill: _Filler) -> None:
    attention, ffn, residual = layer.self_attention, layer.ffn, architecture.residual_scale
    fill.norm(attention.layer_norm, f"{block}.ln_1")
    fill.linear(attention.linear[0], f"{block}.attn.c_attn")
    fill.linear(attention.linear[1], f"{block}.attn.c_proj", residual)
    fill.norm(ffn.layer_norm, f"{block}.ln_2")
    if architecture.gated:
        fill.linear(ffn.linear_0, f"{block}.mlp.c_gate")
        fill.linear(ffn.linear_0_noact, f"{block}.mlp.c_fc")
    else:
        fill.linear(ffn.linear_0, f"{block}.mlp.c_fc")
    fill.linear(ffn.linear_1, f"{block}.mlp.c_proj", residual)
    if architecture.attention_scale is not None:
        attention.queries_scale = np.float32(architecture.attention_scale)
    if architecture.n_kv_head == 1 < architecture.n_head:
        # Undocumented in CTranslate2 4.8: without this attribute the cache holds a copy of the
        # one key/value head for every query head. tests/test_convert.py fails if it stops working.
        object.__setattr__(attention, "multi_query", np.int8(1))
    scaling = architecture.rotary.scaling if architecture.rotary else None
    if isinstance(scaling, Llama3Scaling):
        attention.rotary_low_freq_factor = np.float32(scaling.low_freq_factor)
        attention.rotary_high_freq_factor = np.float32(scaling.high_freq_factor)
        # CTranslate2 4.8 reads this attribute, and its specification has no place for it.
        object.__setattr__(attention, "rotary_scaling_factor", np.float32(scaling.factor))


class _Variable(model_spec.Variable):  # type: ignore[misc]  # ctranslate2 has no types
    """A variable of CTranslate2's that is read when it is quantized or written, and not kept."""

    def __init__(
        self, name: str, tensor: Tensor, on_read: Callable[[], None], dtype: str = "float32"
    ) -> None:
        self._name = name
        self._tensor = tensor
        self._on_read = on_read
        self._dtype = dtype

    @property
    def shape(self) -> list[int]:
        return list(self._tensor.shape)

    @property
    def dtype(self) -> str:
        return self._dtype

    def numpy(self) -> Array:
        """Float32, and the caller's own: CTranslate2 quantizes it in place."""
        array = self._tensor.read()
        if not np.isfinite(array).all():
            raise ConvertError(f"{self._name} holds NaN or infinity; the checkpoint is no use")
        self._on_read()
        return array

    def num_bytes(self) -> int:
        return prod(self._tensor.shape) * ITEM_SIZES[self._dtype]

    def to_bytes(self) -> bytes:
        try:
            return encode(self.numpy(), self._dtype)
        except FloatingPointError as error:
            raise ConvertError(
                f"{self._name} has values too large for {self._dtype}; choose another quantization"
            ) from error

    def _to(self, dtype: str) -> _Variable:
        return _Variable(self._name, self._tensor, self._on_read, dtype)

    def _equal(self, other: _Variable) -> bool:
        # The head of a tied model is the same tensor, and is stored once.
        return self._tensor is other._tensor
