"""Llama and the models that differ from it in their configuration alone.

Mistral, DeepSeek-Coder (positions scaled by 4), SmolLM2, Mellum, Seed-Coder; Granite's code models
(biases) and Granite itself (four multipliers).
"""

from __future__ import annotations

from typing import Any

from santa_lsp.families.architecture import Architecture, FamilyError
from santa_lsp.families.config import (
    activation,
    activation_name,
    number,
    read_rotary,
    write_rotary,
)
from santa_lsp.families.family import Config, Family, Layout, Names
from santa_lsp.families.gguf import GGUF_NAMES

_LAYER = "model.layers.{}"
NAMES: Names = {
    "wte": "model.embed_tokens",
    "h.{}.ln_1": f"{_LAYER}.input_layernorm",
    "h.{}.attn.c_attn": (
        f"{_LAYER}.self_attn.q_proj",
        f"{_LAYER}.self_attn.k_proj",
        f"{_LAYER}.self_attn.v_proj",
    ),
    "h.{}.attn.c_proj": f"{_LAYER}.self_attn.o_proj",
    "h.{}.ln_2": f"{_LAYER}.post_attention_layernorm",
    "h.{}.mlp.c_gate": f"{_LAYER}.mlp.gate_proj",
    "h.{}.mlp.c_fc": f"{_LAYER}.mlp.up_proj",
    "h.{}.mlp.c_proj": f"{_LAYER}.mlp.down_proj",
    "ln_f": "model.norm",
    "lm_head": "lm_head",
}
#: Granite's multipliers that are not 1 / sqrt(head_dim) and 1.
_MULTIPLIERS = (
    "embedding_multiplier",
    "attention_multiplier",
    "residual_multiplier",
    "logits_scaling",
)


def read_config(config: Config) -> Architecture:
    """Raises FamilyError."""
    kind = config.get("model_type")
    attention_bias = bool(config.get("attention_bias", False))
    return Architecture(
        **sizes(config),
        activation=activation(config.get("hidden_act", "silu")),
        qkv_bias=attention_bias,
        attention_output_bias=attention_bias,
        mlp_bias=bool(config.get("mlp_bias", False)),
        sliding_window=config.get("sliding_window", 4096 if kind == "mistral" else None) or None,
        embedding_scale=config.get("embedding_multiplier", 1.0),
        attention_scale=config.get("attention_multiplier", 1.0 if kind == "granite" else None),
        residual_scale=config.get("residual_multiplier", 1.0),
        logit_scale=1 / config.get("logits_scaling", 1.0),
    )


def sizes(config: Config) -> dict[str, Any]:
    """What all families with Llama's settings read alike, as arguments of Architecture."""
    n_embd, n_head = number(config, "hidden_size"), number(config, "num_attention_heads")
    head_dim = config.get("head_dim") or n_embd // max(n_head, 1)
    return {
        "vocab_size": number(config, "vocab_size"),
        "n_positions": number(config, "max_position_embeddings"),
        "n_layer": number(config, "num_hidden_layers"),
        "n_embd": n_embd,
        "n_inner": number(config, "intermediate_size"),
        "n_head": n_head,
        "n_kv_head": config.get("num_key_value_heads") or n_head,
        "head_dim": config.get("head_dim") or 0,
        "norm": "rms",
        "norm_epsilon": config.get("rms_norm_eps", 1e-6),
        "norm_bias": False,
        "rotary": read_rotary(config, head_dim),
        "gated": True,
        "tied": bool(config.get("tie_word_embeddings", False)),
    }


def write_config(architecture: Architecture) -> dict[str, Any]:
    """Of model_type llama; mistral with a sliding window, granite with multipliers.

    Raises FamilyError for an architecture that is not this family's.
    """
    if architecture.qkv_bias != architecture.attention_output_bias:
        raise FamilyError("Llama has biases in all of the attention's matrices or in none")
    multipliers = (
        architecture.embedding_scale,
        architecture.attention_scale,
        architecture.residual_scale,
        1 / architecture.logit_scale,
    )
    kind, name = "llama", "LlamaForCausalLM"
    values: dict[str, Any] = {}
    if multipliers != (1, None, 1, 1):
        kind, name = "granite", "GraniteForCausalLM"
        score = architecture.attention_scale or architecture.head_dim**-0.5
        values = dict(zip(_MULTIPLIERS, multipliers, strict=True))
        values["attention_multiplier"] = score
    if architecture.sliding_window is not None:
        kind, name = "mistral", "MistralForCausalLM"
        values["sliding_window"] = architecture.sliding_window
    return {
        "model_type": kind,
        "architectures": [name],
        **write_sizes(architecture),
        "hidden_act": activation_name(architecture.activation),
        "rms_norm_eps": architecture.norm_epsilon,
        "attention_bias": architecture.qkv_bias,
        "mlp_bias": architecture.mlp_bias,
        **values,
    }


def write_sizes(architecture: Architecture) -> dict[str, Any]:
    """What `sizes` reads, but the norm's epsilon. Raises FamilyError without rotary positions."""
    if architecture.rotary is None:
        raise FamilyError("the family has rotary positions, the model learned ones")
    return {
        "vocab_size": architecture.vocab_size,
        "max_position_embeddings": architecture.n_positions,
        "num_hidden_layers": architecture.n_layer,
        "hidden_size": architecture.n_embd,
        "intermediate_size": architecture.n_inner,
        "num_attention_heads": architecture.n_head,
        "num_key_value_heads": architecture.n_kv_head,
        "head_dim": architecture.head_dim,
        "tie_word_embeddings": architecture.tied,
        **write_rotary(architecture.rotary, architecture.head_dim),
    }


FAMILY = Family(
    name="llama",
    model_types=("llama", "mistral", "granite"),
    read_config=read_config,
    write_config=write_config,
    names=NAMES,
    gguf={"llama": "llama", "granite": "granite"},
    gguf_layout=Layout(GGUF_NAMES, interleaved=True),
)
