"""What a checkpoint says of its model: a `config.json`, or the arguments that Megatron-LM saves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from santa_lsp.convert.errors import ConvertError

#: model_type of the two formats of Hugging Face; the original repository calls itself gpt2.
_MODEL_TYPES = ("gpt_bigcode", "gpt2")


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Sizes and variants of a GPT-2 of SantaCoder's kind, under the names of transformers."""

    vocab_size: int
    n_positions: int
    n_embd: int
    n_layer: int
    n_head: int
    n_inner: int
    activation_function: str = "gelu_pytorch_tanh"
    layer_norm_epsilon: float = 1e-5
    scale_attn_weights: bool = True

    def __post_init__(self) -> None:
        for name in ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "n_inner"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ConvertError(
                    f"the checkpoint's {name} must be a positive number, not {value!r}"
                )
        if self.n_embd % self.n_head:
            raise ConvertError(f"n_embd {self.n_embd} is not a multiple of n_head {self.n_head}")

    @property
    def head_dim(self) -> int:
        return self.n_embd // self.n_head


def from_json(values: Mapping[str, Any]) -> ModelConfig:
    """Of a `config.json`. Raises ConvertError."""
    if (kind := values.get("model_type", "gpt_bigcode")) not in _MODEL_TYPES:
        raise ConvertError(
            f"model_type {kind!r} is another architecture; "
            f"only {' and '.join(_MODEL_TYPES)} are supported"
        )
    _refuse(values, "add_cross_attention", "scale_attn_by_inverse_layer_idx")
    width = _required(values, "n_embd")
    variants = ("activation_function", "layer_norm_epsilon", "scale_attn_weights")
    return ModelConfig(
        vocab_size=_required(values, "vocab_size"),
        n_positions=_required(values, "n_positions"),
        n_embd=width,
        n_layer=_required(values, "n_layer"),
        n_head=_required(values, "n_head"),
        n_inner=values.get("n_inner") or 4 * width,
        **{name: values[name] for name in variants if name in values},
    )


def from_megatron(arguments: Mapping[str, Any]) -> ModelConfig:
    """Of Megatron-LM's arguments. Raises ConvertError."""
    _refuse(
        arguments,
        "apply_residual_connection_post_layernorm",
        "swiglu",
        "use_rotary_position_embeddings",
    )
    if arguments.get("position_embedding_type", "absolute") not in ("absolute", "learned_absolute"):
        raise ConvertError("position_embedding_type is not absolute, which is another architecture")
    activation = "gelu"
    if arguments.get("bias_gelu_fusion"):
        activation = "gelu_pytorch_tanh"
    elif arguments.get("openai_gelu"):
        activation = "gelu_new"
    width = _required(arguments, "hidden_size")
    return ModelConfig(
        vocab_size=_required(arguments, "padded_vocab_size"),
        n_positions=_required(arguments, "max_position_embeddings"),
        n_embd=width,
        n_layer=_required(arguments, "num_layers"),
        n_head=_required(arguments, "num_attention_heads"),
        n_inner=arguments.get("ffn_hidden_size") or 4 * width,
        activation_function=activation,
        layer_norm_epsilon=arguments.get("layernorm_epsilon", 1e-5),
    )


def _required(values: Mapping[str, Any], name: str) -> int:
    if not isinstance(values.get(name), int):
        raise ConvertError(f"the checkpoint's configuration has no number {name!r}")
    return int(values[name])


def _refuse(values: Mapping[str, Any], *names: str) -> None:
    for name in names:
        if values.get(name):
            raise ConvertError(f"the checkpoint's configuration has {name}, which is not supported")
