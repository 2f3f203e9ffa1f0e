"""GGUF files of transformers' models, written as llama.cpp's converter writes them.

Names of tensors and keys are those of the gguf package, not of santa_lsp.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from tokenizers import Tokenizer
from transformers import PreTrainedModel

#: By model_type; these also order the rows of q and k by pairs.
ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "granite": gguf.MODEL_ARCH.GRANITE,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "starcoder2": gguf.MODEL_ARCH.STARCODER2,
    "gpt_bigcode": gguf.MODEL_ARCH.STARCODER,
}
_PAIRED = ("llama", "granite")


def write_gguf(
    path: Path,
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    quantization: Type = Type.F32,
    pre: str = "gpt-2",
    **metadata: Any,
) -> dict[str, np.ndarray]:
    """Write the file; `metadata` adds keys, with . as __, or takes one away with None.

    Matrices whose rows are whole blocks are quantized. Returns the weights as the file holds them,
    under the model's names.
    """
    config = model.config
    architecture = ARCHITECTURES[config.model_type]
    prefix = gguf.MODEL_ARCH_NAMES[architecture]
    writer = gguf.GGUFWriter(path, metadata.pop("general__architecture", prefix))
    values = {f"{prefix}.{key}": value for key, value in _sizes(config).items()}
    values |= _tokenizer(tokenizer, config.vocab_size, pre)
    values |= {key.replace("__", "."): value for key, value in metadata.items()}
    for key, value in values.items():
        if value is not None:
            _add(writer, key, value)
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    kept = {}
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        array = tensor.float().numpy()
        if config.model_type in _PAIRED and (".q_proj." in name or ".k_proj." in name):
            query = ".q_proj." in name
            array = _pairs(
                array, config.num_attention_heads if query else config.num_key_value_heads
            )
        kind = quantization if _is_quantized(array, quantization) else Type.F32
        data = gguf.quantize(np.ascontiguousarray(array), kind)
        kept[name] = gguf.dequantize(data, kind).reshape(array.shape)
        new_name = names.get_name(name, (".weight", ".bias"))
        assert new_name is not None, name
        writer.add_tensor(new_name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return kept


def _is_quantized(array: np.ndarray, kind: Type) -> bool:
    return array.ndim == 2 and array.shape[1] % gguf.GGML_QUANT_SIZES[kind][0] == 0


def _pairs(array: np.ndarray, heads: int) -> np.ndarray:
    """Rows i and i + head_dim / 2 of each head, which turn together, side by side."""
    head_dim = array.shape[0] // heads
    order = [
        head * head_dim + half * head_dim // 2 + pair
        for head in range(heads)
        for pair in range(head_dim // 2)
        for half in (0, 1)
    ]
    return array[order]


def unpair(array: np.ndarray, heads: int) -> np.ndarray:
    """Back to transformers' order."""
    found = np.empty_like(array)
    found[_pairs(np.arange(array.shape[0]), heads)] = array
    return found


def _sizes(config: Any) -> dict[str, Any]:
    kv = getattr(config, "num_key_value_heads", 1)
    values = {
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "block_count": config.num_hidden_layers,
        "feed_forward_length": getattr(config, "intermediate_size", 0) or config.n_inner,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": kv,
    }
    if hasattr(config, "rms_norm_eps"):
        values["attention.layer_norm_rms_epsilon"] = config.rms_norm_eps
    else:
        epsilon = getattr(config, "norm_epsilon", None) or config.layer_norm_epsilon
        values["attention.layer_norm_epsilon"] = epsilon
    if rope := getattr(config, "rope_parameters", None):
        head_dim = (
            getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        )
        values["rope.freq_base"] = float(rope["rope_theta"])
        values["rope.dimension_count"] = head_dim
        values["attention.key_length"] = head_dim
    if config.model_type == "granite":
        values["embedding_scale"] = config.embedding_multiplier
        values["attention.scale"] = config.attention_multiplier
        values["residual_scale"] = config.residual_multiplier
        values["logit_scale"] = config.logits_scaling
    return values


def _tokenizer(tokenizer: Tokenizer, vocab_size: int, pre: str) -> dict[str, Any]:
    """A byte-level BPE's tokens; its first special token ends a text."""
    added = tokenizer.get_added_tokens_decoder()
    tokens, kinds = [], []
    for number in range(vocab_size):
        token = tokenizer.id_to_token(number)
        tokens.append(token or f"[PAD{number}]")
        kind = gguf.TokenType.UNUSED if token is None else gguf.TokenType.NORMAL
        if number in added:
            special = added[number].special
            kind = gguf.TokenType.CONTROL if special else gguf.TokenType.USER_DEFINED
        kinds.append(int(kind))
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    end = min(added)
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.merges": [
            each if isinstance(each, str) else " ".join(each) for each in merges
        ],
        "tokenizer.ggml.bos_token_id": end,
        "tokenizer.ggml.eos_token_id": end,
        "tokenizer.ggml.add_bos_token": False,
    }


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    add = {
        bool: writer.add_bool,
        int: writer.add_uint32,
        float: writer.add_float32,
        str: writer.add_string,
        list: writer.add_array,
    }
    add[type(value)](key, value)
