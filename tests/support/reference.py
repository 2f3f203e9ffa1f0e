"""transformers' own model with random weights, and writers of the three published formats.

Nothing here comes from santa_lsp.convert: the formats are written as their authors describe them.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    GPTBigCodeConfig,
    GPTBigCodeForCausalLM,
    PretrainedConfig,
    PreTrainedModel,
)

torch.set_num_threads(1)  # for models this small, threads only wait for each other

FIM_TOKENS = {
    "hyphen": ["<fim-prefix>", "<fim-middle>", "<fim-suffix>", "<fim-pad>"],
    "underscore": ["<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>"],
    "none": [],
}


def make_tokenizer(dialect: str = "hyphen") -> Tokenizer:
    """Of 256 bytes, one merge, end-of-text and a dialect's tokens."""
    tokens = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "he"]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [("h", "e")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>", *FIM_TOKENS[dialect]])
    return tokenizer


def write_tokenizer(folder: Path, dialect: str = "hyphen") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    make_tokenizer(dialect).save(str(folder / "tokenizer.json"))


def random_model(**config: Any) -> GPTBigCodeForCausalLM:
    """A small model whose every parameter matters: biases and norms are far from 0 and 1."""
    sizes = {
        "vocab_size": 301,
        "n_positions": 96,
        "n_embd": 64,
        "n_layer": 2,
        "n_head": 4,
        "n_inner": 200,
    }
    values = {**sizes, "bos_token_id": 0, "eos_token_id": 0, **config}
    model = random_causal_model(GPTBigCodeConfig(**values))
    assert isinstance(model, GPTBigCodeForCausalLM)
    return model


def random_causal_model(config: PretrainedConfig) -> PreTrainedModel:
    """Of any family, as `random_model`."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval().float()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.3)
            elif ".ln_" in name or "norm" in name:
                parameter.normal_(1, 0.3)
            elif "wte" in name or "wpe" in name or "embed_tokens" in name:
                parameter.normal_(0, 0.5)
            else:
                parameter.normal_(0, 1.5 / math.sqrt(parameter.shape[1]))
    return model


def greedy(model: PreTrainedModel, prompt_ids: list[int], new_tokens: int, end: int) -> list[int]:
    """Up to the token `end`; without a cache, so nothing of it can be wrong."""
    ids = list(prompt_ids)
    for _ in range(new_tokens):
        token = int(logits(model, np.array([ids]))[0, -1].argmax())
        if token == end:
            break
        ids.append(token)
    return ids[len(prompt_ids) :]


def random_ids(vocab_size: int, rows: int = 3, length: int = 60) -> np.ndarray:
    return np.random.default_rng(1).integers(1, vocab_size, (rows, length))


def logits(model: PreTrainedModel, ids: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return model(torch.from_numpy(ids)).logits.float().numpy()


def weights(model: GPTBigCodeForCausalLM) -> dict[str, torch.Tensor]:
    """gpt_bigcode names; no head when it is tied."""
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        state.pop("lm_head.weight", None)
    return state


def config_values(model: GPTBigCodeForCausalLM) -> dict[str, Any]:
    return json.loads(model.config.to_json_string(use_diff=False))


def write_config(folder: Path, values: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(values))


def custom_weights(model: GPTBigCodeForCausalLM) -> dict[str, torch.Tensor]:
    """The original repository's: Conv1D matrices [in, out], q_attn and kv_attn, causal masks."""
    width, found = model.config.n_embd, {}
    for name, tensor in weights(model).items():
        conv1d = tensor.t().contiguous() if ".attn." in name or ".mlp." in name else tensor
        if tensor.dim() < 2:
            conv1d = tensor
        if ".c_attn." not in name:
            found[name] = conv1d
        elif model.config.multi_query:
            found[name.replace("c_attn", "q_attn")] = conv1d[..., :width].contiguous()
            found[name.replace("c_attn", "kv_attn")] = conv1d[..., width:].contiguous()
        else:  # GPT-2's own attention: columns q | k | v, each with its heads side by side
            heads = conv1d.unflatten(-1, (model.config.n_head, 3, -1)).transpose(-3, -2)
            found[name] = heads.flatten(-3).contiguous()
    for layer in range(model.config.n_layer):
        positions = model.config.n_positions
        mask = torch.tril(torch.ones(positions, positions, dtype=torch.uint8))
        found[f"transformer.h.{layer}.attn.bias"] = mask.view(1, 1, positions, positions)
        found[f"transformer.h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    return found


def custom_config(model: GPTBigCodeForCausalLM) -> dict[str, Any]:
    values = config_values(model)
    del values["multi_query"]
    kind = "multiquery" if model.config.multi_query else "multihead"
    return {**values, "model_type": "gpt2", "attention_head_type": kind}


class TransformerConfig:
    """An object of a class that only a training framework has."""

    def __init__(self) -> None:
        self.timers = {"forward": 1.0}


def megatron_checkpoint(model: GPTBigCodeForCausalLM, padding: int = 19) -> dict[str, Any]:
    """What Megatron-LM saves: nested dictionaries, arguments, a vocabulary padded by some rows."""
    config, state = model.config, weights(model)
    names = {
        "ln_1": "input_layernorm",
        "attn.c_attn": "self_attention.query_key_value",
        "attn.c_proj": "self_attention.dense",
        "ln_2": "post_attention_layernorm",
        "mlp.c_fc": "mlp.dense_h_to_4h",
        "mlp.c_proj": "mlp.dense_4h_to_h",
    }
    encoder: dict[str, torch.Tensor] = {}
    for layer in range(config.n_layer):
        for ours, theirs in names.items():
            for kind in ("weight", "bias"):
                tensor = state[f"transformer.h.{layer}.{ours}.{kind}"]
                if ours == "attn.c_attn" and config.multi_query:
                    prefix = f"layers.{layer}.self_attention"
                    encoder[f"{prefix}.query.{kind}"] = tensor[: config.n_embd]
                    encoder[f"{prefix}.key_value.{kind}"] = tensor[config.n_embd :]
                else:
                    encoder[f"layers.{layer}.{theirs}.{kind}"] = tensor
    for kind in ("weight", "bias"):
        encoder[f"final_layernorm.{kind}"] = state[f"transformer.ln_f.{kind}"]

    def padded(tensor: torch.Tensor) -> torch.Tensor:
        return torch.cat((tensor, torch.full((padding, config.n_embd), 7.0)))

    language_model: dict[str, Any] = {
        "embedding": {
            "word_embeddings": {"weight": padded(state["transformer.wte.weight"])},
            "position_embeddings": {"weight": state["transformer.wpe.weight"]},
        },
        "encoder": encoder,
    }
    if "lm_head.weight" in state:
        language_model["output_layer"] = {"weight": padded(state["lm_head.weight"])}
    arguments = argparse.Namespace(
        num_layers=config.n_layer,
        hidden_size=config.n_embd,
        num_attention_heads=config.n_head,
        ffn_hidden_size=config.n_inner,
        max_position_embeddings=config.n_positions,
        layernorm_epsilon=config.layer_norm_epsilon,
        padded_vocab_size=config.vocab_size + padding,
        bias_gelu_fusion=True,
        params_dtype=torch.float16,
        extra=TransformerConfig(),
    )
    return {
        "args": arguments,
        "checkpoint_version": 3.0,
        "iteration": 600000,
        "model": {"language_model": language_model},
        "rng_state": [{"np_rng_state": np.random.get_state(), "torch": torch.get_rng_state()}],
    }
