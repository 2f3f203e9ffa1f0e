"""Low-rank adapters (Hu et al. 2021, arXiv:2106.09685) under PEFT's names and in its file format.

Every c_attn and c_proj (PEFT's `target_modules`; the MLP has a c_proj too) keeps its weight W and
learns B A * alpha / rank beside it. The model in a checkpoint has them merged.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from model.gpt import GPT
from model.train.config import TrainConfig

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


def add_adapters(model: GPT, config: TrainConfig) -> None:
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


def save_adapters(folder: Path, tensors: Mapping[str, Tensor], config: TrainConfig) -> None:
    """`adapter_model.safetensors` and `adapter_config.json`, which PEFT reads."""
    folder.mkdir(parents=True)
    adapters = {
        _PREFIX + name: tensor.contiguous() for name, tensor in tensors.items() if ".lora_" in name
    }
    save_file(adapters, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    description = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": config.lora_rank,
        "lora_alpha": config.lora_alpha,
        "lora_dropout": config.lora_dropout,
        "target_modules": list(TARGETS),
        "bias": "none",
        "fan_in_fan_out": False,
    }
    (folder / "adapter_config.json").write_text(json.dumps(description, indent=2) + "\n")


def load_adapters(model: GPT, folder: Path) -> None:
    """The inverse of `save_adapters`, into a model that has adapters of the same rank."""
    tensors = load_file(folder / "adapter_model.safetensors")
    model.load_state_dict({k.removeprefix(_PREFIX): v for k, v in tensors.items()}, strict=False)
