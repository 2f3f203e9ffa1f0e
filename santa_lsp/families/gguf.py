"""GGUF: a file's metadata as a Hugging Face configuration, and llama.cpp's names of tensors.

The keys are those of llama.cpp's `gguf-py/gguf/constants.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from santa_lsp.families.architecture import (
    Architecture,
    LinearScaling,
    Llama3Scaling,
    Rotary,
)
from santa_lsp.families.config import not_held
from santa_lsp.families.family import Names, Shapes

_LAYER = "blk.{}"
GGUF_NAMES: Names = {
    "wte": "token_embd",
    "wpe": "position_embd",
    "h.{}.ln_1": f"{_LAYER}.attn_norm",
    "h.{}.attn.c_attn": (f"{_LAYER}.attn_q", f"{_LAYER}.attn_k", f"{_LAYER}.attn_v"),
    "h.{}.attn.c_proj": f"{_LAYER}.attn_output",
    "h.{}.ln_2": f"{_LAYER}.ffn_norm",
    "h.{}.mlp.c_gate": f"{_LAYER}.ffn_gate",
    "h.{}.mlp.c_fc": f"{_LAYER}.ffn_up",
    "h.{}.mlp.c_proj": f"{_LAYER}.ffn_down",
    "ln_f": "output_norm",
    "lm_head": "output",
}
#: The factors that Llama 3's wavelengths are stretched by, in a file with scaled positions.
ROPE_FACTORS = "rope_freqs.weight"
#: Keys after `ARCHITECTURE.`, and the settings of transformers that say the same.
_SETTINGS = {
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "attention.layer_norm_epsilon": "layer_norm_epsilon",
    "attention.sliding_window": "sliding_window",
    "rope.freq_base": "rope_theta",
    "expert_count": "num_experts",
    "embedding_scale": "embedding_multiplier",
    "attention.scale": "attention_multiplier",
    "residual_scale": "residual_multiplier",
    "logit_scale": "logits_scaling",
}


def config_of(
    metadata: Mapping[str, Any],
    model_type: str,
    shapes: Shapes,
    rope_factors: Sequence[float] | None = None,
) -> dict[str, Any]:
    """What the `config.json` of the model would say.

    `shapes` are those of the file's tensors: biases and an untied head are only seen there.
    `rope_factors` is the tensor `ROPE_FACTORS`. Raises FamilyError.
    """
    prefix = f"{metadata.get('general.architecture')}."
    config: dict[str, Any] = {
        setting: metadata[prefix + key]
        for key, setting in _SETTINGS.items()
        if prefix + key in metadata
    }
    varied = [setting for setting, value in config.items() if isinstance(value, list)]
    if varied:
        raise not_held(f"its layers differ in {varied[0]}, which CTranslate2 cannot hold")
    config |= {
        "model_type": model_type,
        "vocab_size": shapes.get("token_embd.weight", (0,))[0],
        "tie_word_embeddings": "output.weight" not in shapes,
        "attention_bias": "blk.0.attn_q.bias" in shapes,
        "mlp_bias": "blk.0.ffn_up.bias" in shapes,
        "use_bias": "blk.0.ffn_up.bias" in shapes,
        "norm_epsilon": config.get("layer_norm_epsilon", 1e-5),
        "use_sliding_window": "sliding_window" in config,
        # gpt_bigcode's names of the same.
        "n_head": config.get("num_attention_heads"),
        "n_inner": config.get("intermediate_size"),
        "multi_query": config.get("num_key_value_heads") == 1,
    }
    if (turned := metadata.get(f"{prefix}rope.dimension_count")) and "hidden_size" in config:
        heads = max(config.get("num_attention_heads") or 1, 1)
        head_dim = config.get("head_dim") or config["hidden_size"] // heads
        config["partial_rotary_factor"] = turned / head_dim
    config["rope_scaling"] = _scaling(metadata, prefix, config, rope_factors)
    return config


def _scaling(
    metadata: Mapping[str, Any],
    prefix: str,
    config: Mapping[str, Any],
    rope_factors: Sequence[float] | None,
) -> dict[str, Any] | None:
    kind = metadata.get(f"{prefix}rope.scaling.type", "linear")
    factor = metadata.get(f"{prefix}rope.scaling.factor")
    if factor is None:  # as older files say it
        factor = metadata.get(f"{prefix}rope.scale_linear")
    if rope_factors is not None:
        return _llama3(rope_factors, config.get("rope_theta", 10_000.0))
    if kind == "none" or (kind == "linear" and factor in (None, 0.0, 1.0)):
        return None
    return {"rope_type": kind, "factor": factor}


def _llama3(factors: Sequence[float], base: float) -> dict[str, Any]:
    """The settings of Llama 3.1 that give these factors. Raises FamilyError when none do."""
    scaling = Llama3Scaling(max(factors, default=1.0), 1.0, 4.0, n_positions=8192)
    wavelengths = Rotary(2 * len(factors), base).wavelengths()
    for factor, wavelength in zip(factors, wavelengths, strict=True):
        if abs(scaling.stretch(wavelength) - factor) > 1e-3 * factor:
            raise not_held(
                f"its rotary positions are scaled by factors of its own ({ROPE_FACTORS}), which "
                "CTranslate2 cannot hold"
            )
    return {
        "rope_type": "llama3",
        "factor": scaling.factor,
        "low_freq_factor": scaling.low_freq_factor,
        "high_freq_factor": scaling.high_freq_factor,
        "original_max_position_embeddings": scaling.n_positions,
    }


def metadata_of(architecture: Architecture, name: str) -> dict[str, Any]:
    """The sizes and variants of a model as metadata of a file whose general.architecture is `name`.

    What `config_of` reads, but for what a file says with its tensors: biases, an untied head, and
    Llama 3's scaling (see `rope_factors`).
    """
    rms, rotary = architecture.norm == "rms", architecture.rotary
    values: dict[str, Any] = {
        "context_length": architecture.n_positions,
        "embedding_length": architecture.n_embd,
        "block_count": architecture.n_layer,
        "feed_forward_length": architecture.n_inner,
        "attention.head_count": architecture.n_head,
        "attention.head_count_kv": architecture.n_kv_head,
        f"attention.layer_norm_{'rms_' if rms else ''}epsilon": architecture.norm_epsilon,
        "vocab_size": architecture.vocab_size,
    }
    if architecture.sliding_window is not None:
        values["attention.sliding_window"] = architecture.sliding_window
    if rotary is not None:
        values["attention.key_length"] = values["attention.value_length"] = architecture.head_dim
        values["rope.dimension_count"] = rotary.dim
        values["rope.freq_base"] = rotary.base
        if isinstance(rotary.scaling, LinearScaling):
            values["rope.scaling.type"] = "linear"
            values["rope.scaling.factor"] = rotary.scaling.factor
    if name == "granite":
        values["embedding_scale"] = architecture.embedding_scale
        values["attention.scale"] = architecture.attention_scale or architecture.head_dim**-0.5
        values["residual_scale"] = architecture.residual_scale
        values["logit_scale"] = 1 / architecture.logit_scale
    return {f"{name}.{key}": value for key, value in values.items()}


def rope_factors(architecture: Architecture) -> list[float] | None:
    """The values of the tensor `ROPE_FACTORS`; None when a file has none."""
    rotary = architecture.rotary
    if rotary is None or not isinstance(rotary.scaling, Llama3Scaling):
        return None
    return [rotary.scaling.stretch(wavelength) for wavelength in rotary.wavelengths()]
