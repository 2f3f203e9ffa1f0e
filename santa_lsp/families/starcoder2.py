"""StarCoder2: rotary positions and grouped queries, with layer norms, biases and a plain MLP."""

from __future__ import annotations

from typing import Any

from santa_lsp.families.architecture import Architecture, FamilyError
from santa_lsp.families.config import activation, activation_name
from santa_lsp.families.family import Config, Family, Layout, Names
from santa_lsp.families.gguf import GGUF_NAMES
from santa_lsp.families.llama import NAMES as LLAMA_NAMES
from santa_lsp.families.llama import sizes, write_sizes

NAMES: Names = {
    **{name: published for name, published in LLAMA_NAMES.items() if ".mlp." not in name},
    "h.{}.mlp.c_fc": "model.layers.{}.mlp.c_fc",
    "h.{}.mlp.c_proj": "model.layers.{}.mlp.c_proj",
}


def read_config(config: Config) -> Architecture:
    """Raises FamilyError."""
    bias = bool(config.get("use_bias", True))
    return Architecture(
        **{
            **sizes({"tie_word_embeddings": True, **config}),
            "norm": "layer",
            "norm_bias": True,
            "norm_epsilon": config.get("norm_epsilon", 1e-5),
            "gated": False,
        },
        activation=activation(config.get("hidden_act", "gelu_pytorch_tanh")),
        qkv_bias=bias,
        attention_output_bias=bias,
        mlp_bias=bias,
        sliding_window=config.get("sliding_window") or None,
    )


def write_config(architecture: Architecture) -> dict[str, Any]:
    """Raises FamilyError for an architecture that is not this family's."""
    biases = {architecture.qkv_bias, architecture.attention_output_bias, architecture.mlp_bias}
    if len(biases) > 1 or architecture.gated or architecture.norm != "layer":
        raise FamilyError("StarCoder2 has a plain MLP, layer norms, and all biases or none")
    return {
        "model_type": "starcoder2",
        "architectures": ["Starcoder2ForCausalLM"],
        **write_sizes(architecture),
        "hidden_act": activation_name(architecture.activation),
        "norm_epsilon": architecture.norm_epsilon,
        "use_bias": architecture.qkv_bias,
        "sliding_window": architecture.sliding_window,
    }


FAMILY = Family(
    name="starcoder2",
    model_types=("starcoder2",),
    read_config=read_config,
    write_config=write_config,
    names=NAMES,
    gguf={"starcoder2": "starcoder2"},
    gguf_layout=Layout(GGUF_NAMES),
)
