"""Reading a Hugging Face `config.json`: what the families have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from santa_lsp.families.architecture import (
    ACTIVATIONS,
    Activation,
    FamilyError,
    LinearScaling,
    Llama3Scaling,
    Rotary,
)
from santa_lsp.families.family import Config

_ALTERNATIVE = "an inference server such as llama.cpp's can serve it"
#: transformers' other names of an activation.
_ACTIVATIONS: dict[str, Activation] = {
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "swish": "silu",
    **{name: name for name in ACTIVATIONS},
}
#: Settings that a mixture of experts has, under the names of several families.
_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
#: Parts of a model_type, and what such a model has that CTranslate2 has not.
_NOT_HELD = {
    "moe": "is a mixture of experts",
    "mixtral": "is a mixture of experts",
    "mamba": "has state-space layers",
    "rwkv": "has recurrent layers",
    "jamba": "has state-space layers",
    "bamba": "has state-space layers",
    "granitehybrid": "has state-space layers",
    "lfm2": "has convolution layers",
    "qwen3_next": "has state-space layers",
}


def not_held(reason: str) -> FamilyError:
    """The error for a model that another engine can serve; `reason` needs no full stop."""
    return FamilyError(f"{reason}; {_ALTERNATIVE}")


def refuse_what_is_not_held(config: Config) -> None:
    """Raises FamilyError for a mixture of experts, state-space layers, quantized weights."""
    kind = str(config.get("model_type", ""))
    reason = next((why for part, why in _NOT_HELD.items() if part in kind.lower()), None)
    if reason is None and any((config.get(name) or 0) > 1 for name in _EXPERTS):
        reason = "is a mixture of experts"
    if reason is not None:
        raise not_held(f"the model {reason}, which CTranslate2 does not have")
    if quantized := config.get("quantization_config"):
        method = quantized.get("quant_method") if isinstance(quantized, Mapping) else None
        raise FamilyError(
            f"the checkpoint's weights are quantized ({method or 'in some way'}); convert the "
            "model that they were made from"
        )


def number(config: Config, *names: str) -> int:
    """The first of the settings that is there. Raises FamilyError."""
    for name in names:
        value = config.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    raise FamilyError(f"the checkpoint's configuration has no number {names[0]!r}")


def activation(name: Any) -> Activation:
    """Ours, for a name of transformers. Raises FamilyError."""
    if name not in _ACTIVATIONS:
        raise FamilyError(f"activation {name!r} is not one of {', '.join(_ACTIVATIONS)}")
    return _ACTIVATIONS[name]


def activation_name(activation: Activation) -> str:
    """transformers' name of ours."""
    return "gelu_pytorch_tanh" if activation == "gelu_tanh" else activation


def refuse(config: Config, *names: str) -> None:
    """Raises FamilyError when one of the settings is on."""
    for name in names:
        if config.get(name):
            raise FamilyError(f"the checkpoint's configuration has {name}, which is not supported")


def read_rotary(config: Config, head_dim: int) -> Rotary:
    """Rotary positions; of transformers 5 (`rope_parameters`) or older. Raises FamilyError."""
    values = {**(config.get("rope_scaling") or {}), **(config.get("rope_parameters") or {})}
    if any(isinstance(value, Mapping) for value in values.values()):
        raise not_held("its layers have different rotary positions, which CTranslate2 cannot hold")
    base: Any = values.get("rope_theta", config.get("rope_theta", 10_000.0))
    part: Any = values.get("partial_rotary_factor", config.get("partial_rotary_factor", 1.0))
    try:
        return Rotary(int(head_dim * float(part)), float(base), scaling=_read_scaling(values))
    except FamilyError:
        raise
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise FamilyError(f"the settings of rotary positions are damaged ({error!r})") from error


def _read_scaling(values: Mapping[str, Any]) -> LinearScaling | Llama3Scaling | None:
    kind = values.get("rope_type", values.get("type", "default"))
    if kind == "linear":
        return LinearScaling(float(values["factor"]))
    if kind == "llama3":
        return Llama3Scaling(
            factor=float(values["factor"]),
            low_freq_factor=float(values["low_freq_factor"]),
            high_freq_factor=float(values["high_freq_factor"]),
            n_positions=int(values["original_max_position_embeddings"]),
        )
    if kind in ("default", None):
        return None
    raise not_held(f"its rotary positions are scaled by {kind!r}, which CTranslate2 cannot hold")


def write_rotary(rotary: Rotary, head_dim: int) -> dict[str, Any]:
    """What `read_rotary` reads, as transformers older and newer than 5 do."""
    scaling: dict[str, Any] | None = None
    if isinstance(rotary.scaling, LinearScaling):
        scaling = {"rope_type": "linear", "type": "linear", "factor": rotary.scaling.factor}
    elif isinstance(rotary.scaling, Llama3Scaling):
        scaling = {
            "rope_type": "llama3",
            "factor": rotary.scaling.factor,
            "low_freq_factor": rotary.scaling.low_freq_factor,
            "high_freq_factor": rotary.scaling.high_freq_factor,
            "original_max_position_embeddings": rotary.scaling.n_positions,
        }
    values: dict[str, Any] = {"rope_theta": rotary.base, "rope_scaling": scaling}
    if rotary.dim != head_dim:
        values["partial_rotary_factor"] = rotary.dim / head_dim
    return values
