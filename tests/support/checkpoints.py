"""Checkpoints of random weights in gpt_bigcode's format, written without torch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from santa_lsp.models import embedded_directory

#: Of the embedded model's tokenizer.
VOCAB_SIZE = len(json.loads((embedded_directory() / "vocabulary.json").read_text("utf-8")))


def write_checkpoint(
    directory: Path,
    *,
    n_layer: int = 2,
    n_head: int = 2,
    n_embd: int = 32,
    n_positions: int = 128,
    vocab_size: int = VOCAB_SIZE,
    seed: int = 0,
    **config: object,
) -> Path:
    """A folder with config.json, model.safetensors and the embedded model's tokenizer.json."""
    directory.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    key_value = 2 * n_embd // n_head

    def normal(*shape: int, std: float = 0.05) -> np.ndarray:
        return random.normal(0, std, shape).astype(np.float32)

    arrays = {
        "transformer.wte.weight": normal(vocab_size, n_embd, std=1.0),
        "transformer.wpe.weight": normal(n_positions, n_embd, std=1.0),
        "transformer.ln_f.weight": 1 + normal(n_embd),
        "transformer.ln_f.bias": normal(n_embd),
    }
    for layer in range(n_layer):
        block = f"transformer.h.{layer}"
        for norm in ("ln_1", "ln_2"):
            arrays[f"{block}.{norm}.weight"] = 1 + normal(n_embd)
            arrays[f"{block}.{norm}.bias"] = normal(n_embd)
        for name, rows, columns in (
            ("attn.c_attn", n_embd + key_value, n_embd),
            ("attn.c_proj", n_embd, n_embd),
            ("mlp.c_fc", 4 * n_embd, n_embd),
            ("mlp.c_proj", n_embd, 4 * n_embd),
        ):
            arrays[f"{block}.{name}.weight"] = normal(rows, columns)
            arrays[f"{block}.{name}.bias"] = normal(rows)
    save_file(arrays, directory / "model.safetensors")
    values = {
        "model_type": "gpt_bigcode",
        "multi_query": True,
        "activation_function": "gelu_pytorch_tanh",
        "layer_norm_epsilon": 1e-5,
        "n_layer": n_layer,
        "n_head": n_head,
        "n_embd": n_embd,
        "n_inner": 4 * n_embd,
        "n_positions": n_positions,
        "vocab_size": vocab_size,
        **config,
    }
    (directory / "config.json").write_text(json.dumps(values))
    shutil.copyfile(embedded_directory() / "tokenizer.json", directory / "tokenizer.json")
    return directory
