"""Canonical tensors -> CTranslate2's specification, which reads and quantizes one at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np
from ctranslate2.specs import common_spec, model_spec, transformer_spec

from santa_lsp.convert.config import ModelConfig
from santa_lsp.convert.errors import ConvertError
from santa_lsp.convert.tensors import ITEM_SIZES, Array, Tensor, encode
from santa_lsp.families.prompt import END_OF_TEXT

_Activation = common_spec.Activation
ACTIVATIONS = {
    "gelu": _Activation.GELU,
    "gelu_python": _Activation.GELU,
    "gelu_new": _Activation.GELUTanh,
    "gelu_fast": _Activation.GELUTanh,
    "gelu_pytorch_tanh": _Activation.GELUTanh,
    "quick_gelu": _Activation.GELUSigmoid,
    "relu": _Activation.RELU,
    "silu": _Activation.SWISH,
    "swish": _Activation.SWISH,
}


def build_spec(
    tensors: Mapping[str, Tensor],
    config: ModelConfig,
    vocabulary: list[str],
    on_read: Callable[[], None] = lambda: None,
) -> transformer_spec.TransformerDecoderModelSpec:
    """The model, unquantized and still on disk; `on_read` is called after each tensor that is read.

    Raises ConvertError.
    """
    if config.activation_function not in ACTIVATIONS:
        raise ConvertError(
            f"activation {config.activation_function!r} is not one of {', '.join(ACTIVATIONS)}"
        )
    attention_rows = tensors["h.0.attn.c_attn.weight"].shape[0]
    # With one head both kinds of attention are the same, and CTranslate2 knows it as multi-head.
    multi_query = config.n_head > 1 and attention_rows < 3 * config.n_embd
    spec = transformer_spec.TransformerDecoderModelSpec.from_config(
        config.n_layer,
        config.n_head,
        pre_norm=True,
        activation=ACTIVATIONS[config.activation_function],
        multi_query_attention=multi_query,
    )

    def variable(name: str) -> _Variable:
        return _Variable(name, tensors[name], on_read)

    def fill_norm(norm: Any, name: str) -> None:
        norm.gamma, norm.beta = variable(f"{name}.weight"), variable(f"{name}.bias")

    def fill_linear(linear: Any, name: str) -> None:
        linear.weight, linear.bias = variable(f"{name}.weight"), variable(f"{name}.bias")

    decoder = spec.decoder
    decoder.scale_embeddings = False
    decoder.embeddings.weight = variable("wte.weight")
    decoder.position_encodings.encodings = variable("wpe.weight")
    fill_norm(decoder.layer_norm, "ln_f")
    for index, layer in enumerate(decoder.layer):
        attention, block = layer.self_attention, f"h.{index}"
        fill_norm(attention.layer_norm, f"{block}.ln_1")
        fill_linear(attention.linear[0], f"{block}.attn.c_attn")
        fill_linear(attention.linear[1], f"{block}.attn.c_proj")
        fill_norm(layer.ffn.layer_norm, f"{block}.ln_2")
        fill_linear(layer.ffn.linear_0, f"{block}.mlp.c_fc")
        fill_linear(layer.ffn.linear_1, f"{block}.mlp.c_proj")
        if not config.scale_attn_weights:
            attention.queries_scale = np.float32(1)
        if multi_query:
            # Undocumented in CTranslate2 4.8: without this attribute the cache holds a copy of the
            # one key/value head for every query head. tests/test_convert.py fails if it stops
            # working.
            object.__setattr__(attention, "multi_query", np.int8(1))
    decoder.projection.weight = variable(
        "lm_head.weight" if "lm_head.weight" in tensors else "wte.weight"
    )
    spec.config.layer_norm_epsilon = config.layer_norm_epsilon
    spec.config.bos_token = spec.config.eos_token = spec.config.unk_token = END_OF_TEXT
    spec.register_vocabulary(vocabulary)
    return spec


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
        return self._tensor is other._tensor
