"""Low-rank adapters (Hu et al. 2021, arXiv:2106.09685) under PEFT's names and in its file format.

Every c_attn and c_proj (the MLP has one too) keeps its weight W and learns B A * alpha / rank
beside it. The model in a checkpoint has them merged. The adapter's own files name the modules that
the model's family publishes: where q, k and v are three of them, each has its rows of B, and all
have the same A.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from model.train.config import TrainConfig
from model.transformer import ModelConfig, Transformer
from santa_lsp import families
from santa_lsp.families.family import Layout

TARGETS = ("c_attn", "c_proj")
_PREFIX = "base_model.model."


class LoraLinear(nn.Linear):
    """A frozen Linear and its adapter; `weight` and `bias` keep their names."""

    def __init__(self, base: nn.Linear, rank: int, alpha: float, dropout: float) -> None:
        super().__init__(base.in_features, base.out_features, device="meta")
        self.weight, self.bias = base.weight, base.bias
        self.scale, self.dropout = alpha / rank, dropout
        self.lora_A = nn.Linear(base.in_features, rank, bias=False)
        self.lora_B = nn.Linear(rank, base.out_features, bias=False)
        nn.init.kaiming_uniform_(self.lora_A.weight, a=math.sqrt(5))
        nn.init.zeros_(self.lora_B.weight)  # starts as the model it adapts

    def forward(self, x: Tensor) -> Tensor:
        low = self.lora_A(F.dropout(x, self.dropout, self.training))
        adapted: Tensor = F.linear(x, self.weight, self.bias) + self.lora_B(low) * self.scale
        return adapted


def add_adapters(model: Transformer, config: TrainConfig) -> None:
    """Freeze the model and give it adapters, in place."""
    model.requires_grad_(False)
    for module in list(model.modules()):
        for name, child in module.named_children():
            if name in TARGETS and isinstance(child, nn.Linear):
                adapted = LoraLinear(
                    child, config.lora_rank, config.lora_alpha, config.lora_dropout
                )
                setattr(module, name, adapted)


def merged(tensors: Mapping[str, Tensor], config: TrainConfig) -> dict[str, Tensor]:
    """A model's weights from its state with adapters."""
    scale = config.lora_alpha / config.lora_rank
    result = {name: tensor for name, tensor in tensors.items() if ".lora_" not in name}
    for name, a in tensors.items():
        if name.endswith(".lora_A.weight"):
            layer = name.removesuffix(".lora_A.weight")
            b = tensors[f"{layer}.lora_B.weight"]
            result[f"{layer}.weight"] = tensors[f"{layer}.weight"] + scale * (b @ a)
    return result


def save_adapters(
    folder: Path, tensors: Mapping[str, Tensor], config: TrainConfig, model: ModelConfig
) -> None:
    """`adapter_model.safetensors` and `adapter_config.json`, which PEFT reads."""
    folder.mkdir(parents=True)
    adapters, targets = {}, set()
    for module, parts in _published(model).items():
        a, b = (tensors[f"{module}.lora_{each}.weight"] for each in "AB")
        pieces = b.split([rows for _, rows in parts])
        for (name, _), piece in zip(parts, pieces, strict=True):
            adapters[f"{_PREFIX}{name}.lora_A.weight"] = a.clone()
            adapters[f"{_PREFIX}{name}.lora_B.weight"] = piece.clone()
            targets.add(name.rpartition(".")[2])
    save_file(adapters, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    description = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": config.lora_rank,
        "lora_alpha": config.lora_alpha,
        "lora_dropout": config.lora_dropout,
        "target_modules": sorted(targets),
        "bias": "none",
        "fan_in_fan_out": False,
    }
    (folder / "adapter_config.json").write_text(json.dumps(description, indent=2) + "\n")


def load_adapters(model: Transformer, folder: Path) -> None:
    """The inverse of `save_adapters`, into a model that has adapters of the same rank."""
    saved = load_file(folder / "adapter_model.safetensors")
    tensors = {}
    for module, parts in _published(model.config).items():
        names = [f"{_PREFIX}{name}.lora_" for name, _ in parts]
        tensors[f"{module}.lora_A.weight"] = saved[f"{names[0]}A.weight"]
        tensors[f"{module}.lora_B.weight"] = torch.cat([saved[f"{name}B.weight"] for name in names])
    model.load_state_dict(tensors, strict=False)


def _published(model: ModelConfig) -> dict[str, list[tuple[str, int]]]:
    """For each module with an adapter, those that its family publishes, and how many rows."""
    names = families.family_named(model.family).names
    suffixes = tuple(f".{target}.weight" for target in TARGETS)
    return {
        canonical.removesuffix(".weight"): [
            (name.removesuffix(".weight"), shape[0]) for name, shape in parts
        ]
        for canonical, parts in Layout(names).tensors(model.architecture).items()
        if canonical.endswith(suffixes)
    }
