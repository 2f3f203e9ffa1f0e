"""Everything that decides a run's result, read from TOML files and the command line."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.train.errors import TrainError
from santa_lsp.families.architecture import Architecture

CHOICES = {
    "optimizer": ("adamw", "muon"),
    "precision": ("auto", "float32", "bfloat16"),
    "compile": ("auto", "yes", "no"),
}


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Saved with each checkpoint. Sizes are the initial model's when there is one."""

    n_layer: int = 4
    n_head: int = 3
    n_embd: int = 192
    batch_size: int = 8  # rows of one optimizer step, all processes together
    micro_batch_size: int = 0  # most rows of one forward pass; 0: a process's whole share
    optimizer: str = "adamw"  # adamw | muon: muon for the matrices between embedding and head
    learning_rate: float = 3e-3
    min_learning_rate_ratio: float = 0.0  # at the end of the decay
    warmup_steps: int = 100
    decay_share: float = 0.2  # the last share of max_steps, in which the learning rate falls
    max_steps: int = 5000
    weight_decay: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.95
    clip: float = 1.0  # largest norm of the gradient
    document_masks: bool = False  # keep the examples that share a row apart
    lora_rank: int = 0  # 0: train all weights
    lora_alpha: float = 32.0
    lora_dropout: float = 0.05
    precision: str = "auto"
    compile: str = "auto"
    recompute: bool = False  # activations in the backward pass, to save memory
    shard: bool = False  # weights and optimizer over the processes (FSDP)
    seed: int = 0
    evaluate_every: int = 500  # steps between checkpoints
    validation_rows: int = 48  # of each language

    def __post_init__(self) -> None:
        """Raises TrainError."""
        for name, choices in CHOICES.items():
            if (value := getattr(self, name)) not in choices:
                raise TrainError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
        for name in ("batch_size", "warmup_steps", "max_steps", "evaluate_every"):
            if getattr(self, name) < 1:
                raise TrainError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0 <= self.decay_share <= 1:
            raise TrainError(f"decay_share must be between 0 and 1, not {self.decay_share}")
        if self.shard and (self.lora_rank or self.optimizer == "muon"):
            raise TrainError("shard works with optimizer = adamw and lora_rank = 0 only")

    def replaced(self, values: dict[str, Any]) -> TrainConfig:
        """A copy with other values. Raises TrainError for an unknown name or another type."""
        fields = {field.name: field for field in dataclasses.fields(self)}
        if unknown := sorted(values.keys() - fields.keys()):
            raise TrainError(f"unknown {', '.join(unknown)}; known are {', '.join(fields)}")
        for name, value in values.items():
            kind = type(getattr(self, name))
            if kind is float and type(value) is int:
                values = {**values, name: float(value)}
            elif type(value) is not kind:
                raise TrainError(f"{name} must be a {kind.__name__}, not {value!r}")
        return dataclasses.replace(self, **values)

    def with_sizes_of(self, model: Architecture) -> TrainConfig:
        return dataclasses.replace(
            self, n_layer=model.n_layer, n_head=model.n_head, n_embd=model.n_embd
        )


def read_toml(path: Path) -> dict[str, Any]:
    """Raises TrainError."""
    try:
        return tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise TrainError(f"{path} cannot be read: {error}") from error


def read_assignments(texts: Iterable[str]) -> dict[str, Any]:
    """`name=value` as TOML has it, quotes left out. Raises TrainError."""
    values: dict[str, Any] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator:
            raise TrainError(f"--set wants NAME=VALUE, not {text!r}")
        try:
            values[name.strip()] = tomllib.loads(f"value = {value}")["value"]
        except ValueError:
            values[name.strip()] = value.strip()
    return values
