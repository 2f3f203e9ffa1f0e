"""Models on disk under the names that their families publish, which transformers reads too."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from model.transformer import ModelConfig, Transformer
from santa_lsp import families
from santa_lsp.convert.card import prompt_of
from santa_lsp.convert.checkpoint import Checkpoint, open_checkpoint


def load_model(path: Path) -> Transformer:
    """In float32, from whatever `open_checkpoint` takes. Raises ConvertError."""
    return model_of(open_checkpoint(path))


def model_of(found: Checkpoint) -> Transformer:
    """In float32. Raises ConvertError."""
    _, (end_of_text, *_) = prompt_of(found)
    eos_token_id = found.tokenizer.token_to_id(end_of_text)
    assert eos_token_id is not None  # prompt_of has found it
    config = ModelConfig(found.architecture, found.family, eos_token_id, found.path_comment)
    with torch.device("meta"):
        model = Transformer(config)
    tensors = {name: torch.from_numpy(each.read()) for name, each in found.tensors.items()}
    model.load_state_dict(tensors, assign=True)
    return model.requires_grad_(True)


def save_model(directory: Path, model: Transformer) -> None:
    """Write `model.safetensors` and `config.json`; `load_model` takes a tokenizer.json beside them.

    Raises FamilyError, OSError or SafetensorError.
    """
    write_checkpoint(directory, model.state_dict(), model.config)


def write_checkpoint(directory: Path, tensors: Mapping[str, Tensor], config: ModelConfig) -> None:
    """The files of `save_model`, of canonical tensors."""
    directory.mkdir(parents=True, exist_ok=True)
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    family = families.family_named(config.family)
    published = family.publish(plain, config.architecture, _split)
    save_file(published, directory / "model.safetensors", metadata={"format": "pt"})
    (directory / "config.json").write_text(json.dumps(config_json(config), indent=2) + "\n")


def config_json(config: ModelConfig) -> dict[str, object]:
    """A checkpoint's `config.json`. Raises FamilyError for what the family cannot say in one."""
    family = families.family_named(config.family)
    return {
        **family.write_config(config.architecture),
        "bos_token_id": config.eos_token_id,
        "eos_token_id": config.eos_token_id,
        "use_cache": True,
        "path_comment": config.path_comment,
        "torch_dtype": "float32",
    }


def _split(tensor: Tensor, rows: list[int]) -> Sequence[Tensor]:
    """In memory of their own: safetensors saves no part of a tensor."""
    return [part.clone() for part in tensor.split(rows)]
