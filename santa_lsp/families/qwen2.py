"""Qwen2, Qwen2.5 and Qwen2.5-Coder: Llama with biases of q, k and v."""

from __future__ import annotations

from typing import Any

from santa_lsp.families.architecture import Architecture, FamilyError
from santa_lsp.families.config import activation, activation_name
from santa_lsp.families.family import Config, Family, Layout
from santa_lsp.families.gguf import GGUF_NAMES
from santa_lsp.families.llama import NAMES, sizes, write_sizes


def read_config(config: Config) -> Architecture:
    """Raises FamilyError."""
    # The window that most of its configurations have is switched off beside it.
    window = config.get("sliding_window") if config.get("use_sliding_window") else None
    return Architecture(
        **sizes(config),
        activation=activation(config.get("hidden_act", "silu")),
        qkv_bias=True,
        attention_output_bias=False,
        mlp_bias=False,
        sliding_window=window or None,
    )


def write_config(architecture: Architecture) -> dict[str, Any]:
    """Raises FamilyError for an architecture that is not this family's."""
    biases = (architecture.qkv_bias, architecture.attention_output_bias, architecture.mlp_bias)
    if biases != (True, False, False):
        raise FamilyError("Qwen2 has biases of q, k and v, and no others")
    return {
        "model_type": "qwen2",
        "architectures": ["Qwen2ForCausalLM"],
        **write_sizes(architecture),
        "hidden_act": activation_name(architecture.activation),
        "rms_norm_eps": architecture.norm_epsilon,
        "use_sliding_window": architecture.sliding_window is not None,
        "sliding_window": architecture.sliding_window,
        # Layers from this one on have the window.
        "max_window_layers": 0 if architecture.sliding_window else architecture.n_layer,
    }


FAMILY = Family(
    name="qwen2",
    model_types=("qwen2",),
    read_config=read_config,
    write_config=write_config,
    names=NAMES,
    gguf={"qwen2": "qwen2"},
    gguf_layout=Layout(GGUF_NAMES),
)
