"""The three published layouts of SantaCoder's weights -> canonical names and shapes.

Canonical are transformers' gpt_bigcode names without the leading `transformer.`, every matrix as
nn.Linear has it ([out, in]), and `attn.c_attn` with rows q | k | v: n_embd rows of q, then of k and
v one head's (multi-query attention) or n_embd (multi-head attention).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from santa_lsp.convert.config import ModelConfig
from santa_lsp.convert.errors import ConvertError
from santa_lsp.convert.tensors import Tensor, first_rows, separate_heads, stack_rows, transpose

#: Causal masks that older versions saved with the weights.
_BUFFER = re.compile(r"\.attn\.(masked_)?bias$")
_MATRIX = re.compile(r"\.(q_attn|kv_attn|c_attn|c_proj|c_fc)\.weight$")

_MEGATRON_NAMES = {
    "input_layernorm": "ln_1",
    "post_attention_layernorm": "ln_2",
    "attention.query": "attn.q_attn",
    "attention.key_value": "attn.kv_attn",
    "attention.query_key_value": "attn.c_attn",
    "attention.dense": "attn.c_proj",
    "mlp.dense_h_to_4h": "mlp.c_fc",
    "mlp.dense_4h_to_h": "mlp.c_proj",
}


def canonical_shapes(config: ModelConfig, attention_rows: int) -> dict[str, tuple[int, ...]]:
    """Every canonical tensor but the untied head, with `attention_rows` rows in `attn.c_attn`."""
    width, inner = config.n_embd, config.n_inner
    shapes: dict[str, tuple[int, ...]] = {
        "wte.weight": (config.vocab_size, width),
        "wpe.weight": (config.n_positions, width),
        "ln_f.weight": (width,),
        "ln_f.bias": (width,),
    }
    for layer in range(config.n_layer):
        for norm in ("ln_1", "ln_2"):
            shapes[f"h.{layer}.{norm}.weight"] = shapes[f"h.{layer}.{norm}.bias"] = (width,)
        for linear, rows, columns in (
            ("attn.c_attn", attention_rows, width),
            ("attn.c_proj", width, width),
            ("mlp.c_fc", inner, width),
            ("mlp.c_proj", width, inner),
        ):
            shapes[f"h.{layer}.{linear}.weight"] = (rows, columns)
            shapes[f"h.{layer}.{linear}.bias"] = (rows,)
    return shapes


def from_hugging_face(tensors: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """gpt_bigcode's Linear or the original repository's Conv1D layers, told apart by shape."""
    found = {
        name.removeprefix("transformer."): tensor
        for name, tensor in tensors.items()
        if not _BUFFER.search(name)
    }
    conv1d = _has_conv1d(found, config)
    if conv1d:
        found = {
            name: transpose(tensor) if _MATRIX.search(name) else tensor
            for name, tensor in found.items()
        }
    _join_attention(found)
    if not conv1d:  # Conv1D's multi-head c_attn has q | k | v already, as GPT-2 has
        _separate_heads(found, config)
    return _checked(found, config)


def from_megatron(checkpoint: Mapping[str, Any], config: ModelConfig) -> dict[str, Tensor]:
    """The nested dictionaries of Megatron-LM. Raises ConvertError."""
    try:
        model = checkpoint["model"]["language_model"]
        encoder = model["encoder"] if "encoder" in model else model["transformer"]
        found = {
            "wte.weight": model["embedding"]["word_embeddings"]["weight"],
            "wpe.weight": model["embedding"]["position_embeddings"]["weight"],
        }
        if "output_layer" in model:
            found["lm_head.weight"] = model["output_layer"]["weight"]
    except (KeyError, TypeError) as error:
        raise ConvertError(f"the Megatron-LM checkpoint has no {error}") from error
    for name, tensor in encoder.items():
        if isinstance(tensor, Tensor):
            found[_megatron_name(name)] = tensor
    for name in ("wte.weight", "lm_head.weight"):  # padded for tensor parallelism
        if name in found and found[name].shape[0] > config.vocab_size:
            found[name] = first_rows(found[name], config.vocab_size)
    if "h.0.attn.c_attn.weight" in found and float(checkpoint.get("checkpoint_version", 0)) < 2:
        raise ConvertError(
            "checkpoint_version is below 2, whose order of multi-head rows differs; "
            "load it with a newer Megatron-LM and save it again"
        )
    _join_attention(found)
    _separate_heads(found, config)
    return _checked(found, config)


def _megatron_name(name: str) -> str:
    module, _, kind = name.rpartition(".")
    if module == "final_layernorm":
        return f"ln_f.{kind}"
    match = re.fullmatch(r"layers\.(\d+)\.(?:self_)?(.+)", module)
    if match is None or match[2] not in _MEGATRON_NAMES:
        raise ConvertError(f"Megatron-LM's tensor {name!r} is not supported")
    return f"h.{match[1]}.{_MEGATRON_NAMES[match[2]]}.{kind}"


def _has_conv1d(tensors: Mapping[str, Tensor], config: ModelConfig) -> bool:
    for module in ("mlp.c_fc", "attn.c_attn", "attn.kv_attn"):
        tensor = tensors.get(f"h.0.{module}.weight")
        if tensor is not None and len(tensor.shape) == 2 and tensor.shape[0] != tensor.shape[1]:
            return tensor.shape[0] == config.n_embd
    raise ConvertError(
        "no tensor h.0.mlp.c_fc.weight or h.0.attn.c_attn.weight tells whether matrices are "
        "[in, out] or [out, in]; save the checkpoint with transformers' GPTBigCodeForCausalLM"
    )


def _join_attention(tensors: dict[str, Tensor]) -> None:
    """`q_attn` and `kv_attn` as one `c_attn`, in place."""
    for name in [name for name in tensors if ".attn.q_attn." in name]:
        key_value = name.replace("q_attn", "kv_attn")
        if key_value not in tensors:
            raise ConvertError(f"the checkpoint has no tensor {key_value!r}")
        joined = stack_rows([tensors.pop(name), tensors.pop(key_value)])
        tensors[name.replace("q_attn", "c_attn")] = joined


def _separate_heads(tensors: dict[str, Tensor], config: ModelConfig) -> None:
    """Multi-head rows [head][q, k, v] as q | k | v, in place."""
    for name, tensor in tensors.items():
        if ".attn.c_attn." in name and tensor.shape[0] == 3 * config.n_embd:
            tensors[name] = separate_heads(tensor, config.n_head)


def _checked(tensors: dict[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """The tensors, each of the right shape, none missing or left over; no head if it is tied."""
    attention = tensors.get("h.0.attn.c_attn.weight")
    multi_head = attention is not None and attention.shape[0] == 3 * config.n_embd
    rows = 3 * config.n_embd if multi_head else config.n_embd + 2 * config.head_dim
    shapes = canonical_shapes(config, rows)
    if "lm_head.weight" in tensors:
        shapes["lm_head.weight"] = (config.vocab_size, config.n_embd)
    for name, shape in shapes.items():
        if name not in tensors:
            raise ConvertError(f"the checkpoint has no tensor {name!r}")
        if tensors[name].shape != shape:
            raise ConvertError(
                f"{name} has the shape {list(tensors[name].shape)}; "
                f"the checkpoint's configuration asks for {list(shape)}"
            )
    if left_over := sorted(tensors.keys() - shapes.keys()):
        raise ConvertError(f"the checkpoint has a tensor {left_over[0]!r}, which is not supported")
    head = tensors.get("lm_head.weight")
    if head is not None and np.array_equal(head.read(), tensors["wte.weight"].read()):
        del tensors["lm_head.weight"]  # a tied head, saved twice
    return tensors
