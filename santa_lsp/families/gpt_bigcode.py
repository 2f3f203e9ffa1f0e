"""SantaCoder and StarCoder: GPT-2 with multi-query attention, in its three published layouts.

transformers' gpt_bigcode; SantaCoder's own code before it (Conv1D matrices, the attention in two
modules, model_type gpt2); and Megatron-LM, which both were trained with.
"""

from __future__ import annotations

from typing import Any

from santa_lsp.families.architecture import Architecture, FamilyError
from santa_lsp.families.config import activation, activation_name, number, refuse
from santa_lsp.families.family import Config, Family, Layout, Names, Shapes
from santa_lsp.families.gguf import GGUF_NAMES

_MODULES = (
    *("wte", "wpe", "h.{}.ln_1", "h.{}.attn.c_attn", "h.{}.attn.c_proj", "h.{}.ln_2"),
    *("h.{}.mlp.c_fc", "h.{}.mlp.c_proj", "ln_f"),
)
NAMES: Names = {**{name: f"transformer.{name}" for name in _MODULES}, "lm_head": "lm_head"}
#: The attention in two modules, as SantaCoder's own code has it.
_TWO_MODULES: Names = {
    **NAMES,
    "h.{}.attn.c_attn": ("transformer.h.{}.attn.q_attn", "transformer.h.{}.attn.kv_attn"),
}
_LAYER = "encoder.layers.{}"
MEGATRON_NAMES: Names = {
    "wte": "embedding.word_embeddings",
    "wpe": "embedding.position_embeddings",
    "h.{}.ln_1": f"{_LAYER}.input_layernorm",
    "h.{}.attn.c_attn": (f"{_LAYER}.self_attention.query", f"{_LAYER}.self_attention.key_value"),
    "h.{}.attn.c_proj": f"{_LAYER}.self_attention.dense",
    "h.{}.ln_2": f"{_LAYER}.post_attention_layernorm",
    "h.{}.mlp.c_fc": f"{_LAYER}.mlp.dense_h_to_4h",
    "h.{}.mlp.c_proj": f"{_LAYER}.mlp.dense_4h_to_h",
    "ln_f": "encoder.final_layernorm",
    "lm_head": "output_layer",
}
_MEGATRON_MULTI_HEAD: Names = {
    **MEGATRON_NAMES,
    "h.{}.attn.c_attn": f"{_LAYER}.self_attention.query_key_value",
}


def read_config(config: Config) -> Architecture:
    """Raises FamilyError."""
    refuse(config, "add_cross_attention", "scale_attn_by_inverse_layer_idx")
    n_embd, n_head = number(config, "n_embd", "hidden_size"), number(config, "n_head")
    return Architecture(
        vocab_size=number(config, "vocab_size"),
        n_positions=number(config, "n_positions", "max_position_embeddings"),
        n_layer=number(config, "n_layer", "num_hidden_layers"),
        n_embd=n_embd,
        n_inner=config.get("n_inner") or 4 * n_embd,
        n_head=n_head,
        n_kv_head=1 if _multi_query(config) else n_head,
        activation=activation(config.get("activation_function", "gelu_pytorch_tanh")),
        norm_epsilon=config.get("layer_norm_epsilon", 1e-5),
        attention_scale=None if config.get("scale_attn_weights", True) else 1.0,
        tied=config.get("tie_word_embeddings", True),
    )


def _multi_query(config: Config) -> bool:
    """Said as `multi_query`, or in SantaCoder's own code as `attention_head_type`."""
    if "multi_query" in config:
        return bool(config["multi_query"])
    default = "multihead" if config.get("model_type") == "gpt2" else "multiquery"
    return bool(config.get("attention_head_type", default) == "multiquery")


def write_config(architecture: Architecture) -> dict[str, Any]:
    """Raises FamilyError for an architecture that is not this family's."""
    if architecture.rotary or architecture.gated or architecture.norm != "layer":
        raise FamilyError("gpt_bigcode has learned positions, a plain MLP and layer norms")
    if architecture.n_kv_head != 1:
        raise FamilyError("gpt_bigcode is written with one key/value head, as it is trained")
    return {
        "model_type": "gpt_bigcode",
        "architectures": ["GPTBigCodeForCausalLM"],
        "vocab_size": architecture.vocab_size,
        "n_positions": architecture.n_positions,
        "n_embd": architecture.n_embd,
        "n_layer": architecture.n_layer,
        "n_head": architecture.n_head,
        "n_inner": architecture.n_inner,
        "activation_function": activation_name(architecture.activation),
        "multi_query": True,
        "scale_attn_weights": architecture.attention_scale is None,
        "tie_word_embeddings": architecture.tied,
        "layer_norm_epsilon": architecture.norm_epsilon,
    }


def choose_layout(shapes: Shapes, architecture: Architecture) -> Layout:
    """transformers' or the original repository's, told apart by names and shapes."""
    split = any(name.endswith(".attn.kv_attn.weight") for name in shapes)
    transposed = _has_conv1d(shapes, architecture)
    # Conv1D's multi-head c_attn has q | k | v already, as GPT-2 has.
    by_head = architecture.n_kv_head == architecture.n_head > 1 and not transposed
    return Layout(_TWO_MODULES if split else NAMES, transposed, rows_by_head=by_head)


def _has_conv1d(shapes: Shapes, architecture: Architecture) -> bool:
    for module in ("mlp.c_fc", "attn.c_attn", "attn.kv_attn"):
        for prefix in ("transformer.", ""):
            shape = shapes.get(f"{prefix}h.0.{module}.weight", ())
            if len(shape) == 2 and shape[0] != shape[1]:
                return shape[0] == architecture.n_embd
    raise FamilyError(
        "no tensor h.0.mlp.c_fc.weight or h.0.attn.c_attn.weight tells whether matrices are "
        "[in, out] or [out, in]; save the checkpoint with transformers' GPTBigCodeForCausalLM"
    )


def read_megatron(arguments: Config, multi_query: bool) -> Architecture:
    """Of the arguments that Megatron-LM saves. Raises FamilyError."""
    refuse(
        arguments,
        "apply_residual_connection_post_layernorm",
        "swiglu",
        "use_rotary_position_embeddings",
    )
    if arguments.get("position_embedding_type", "absolute") not in ("absolute", "learned_absolute"):
        raise FamilyError("position_embedding_type is not absolute, which is another architecture")
    function = "gelu"
    if arguments.get("bias_gelu_fusion"):
        function = "gelu_pytorch_tanh"
    elif arguments.get("openai_gelu"):
        function = "gelu_new"
    return read_config(
        {
            "vocab_size": number(arguments, "padded_vocab_size"),
            "n_positions": number(arguments, "max_position_embeddings"),
            "n_embd": number(arguments, "hidden_size"),
            "n_layer": number(arguments, "num_layers"),
            "n_head": number(arguments, "num_attention_heads"),
            "n_inner": arguments.get("ffn_hidden_size"),
            "activation_function": function,
            "layer_norm_epsilon": arguments.get("layernorm_epsilon", 1e-5),
            "multi_query": multi_query,
        }
    )


def megatron_layout(shapes: Shapes) -> Layout:
    """Multi-query attention has two modules, multi-head attention one."""
    split = any(name.endswith(".self_attention.key_value.weight") for name in shapes)
    return Layout(MEGATRON_NAMES if split else _MEGATRON_MULTI_HEAD, rows_by_head=not split)


FAMILY = Family(
    name="gpt_bigcode",
    model_types=("gpt_bigcode", "gpt2"),
    read_config=read_config,
    write_config=write_config,
    names=NAMES,
    gguf={"starcoder": "gpt_bigcode"},
    gguf_layout=Layout({**GGUF_NAMES, "h.{}.attn.c_attn": "blk.{}.attn_qkv"}),
    choose_layout=choose_layout,
    # Causal masks that older versions saved with the weights.
    buffers=(".attn.bias", ".attn.masked_bias"),
    # Both orders were trained; this one leaves the prefix at the end, whose state is then reused.
    metadata={"fim_order": "spm"},
)
