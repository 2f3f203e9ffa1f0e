"""A run's checkpoints: all that a run needs to go on, also on another machine or more processes.

model.safetensors config.json tokenizer.json   the model, adapters merged
adapter/                                       the adapters alone, with lora_rank
train.json                                     configuration, data, step
state.pt                                       the optimizers; without it a run warms up again
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)

from model.gpt import GPTConfig, write_checkpoint
from model.train.config import TrainConfig
from model.train.distributed import World
from model.train.errors import TrainError
from model.train.lora import merged, save_adapters
from santa_lsp.models.files import replaced_folder, restore_folder

Optimizers = list[torch.optim.Optimizer]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is, and on which data."""

    config: TrainConfig
    data_path: str
    data: dict[str, Any]  # identifies the data: their description and number of rows
    step: int = 0
    seconds: float = 0.0
    warm_from: int = 0  # the step at which the optimizer's state was new


def save_checkpoint(
    folder: Path,
    module: nn.Module,
    optimizers: Optimizers,
    model: GPTConfig,
    companions: Sequence[Path],
    progress: Progress,
    world: World,
) -> None:
    """Every process calls it, and the first one writes. The new checkpoint replaces the old one
    when it is complete; `companions` are copied into it. Raises TrainError if writing fails."""
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    # Neither GPT nor its adapters have state that is no tensor.
    tensors = cast(dict[str, Tensor], get_model_state_dict(module, options=options))
    state = get_optimizer_state_dict(module, optimizers, options=options)
    if world.is_first:
        try:
            with replaced_folder(folder) as new:
                if progress.config.lora_rank:
                    save_adapters(new / "adapter", tensors, progress.config)
                    tensors = merged(tensors, progress.config)
                write_checkpoint(new, tensors, model)
                for file in companions:
                    shutil.copyfile(file, new / file.name)
                (new / "train.json").write_text(json.dumps(dataclasses.asdict(progress), indent=1))
                torch.save(state, new / "state.pt")
        except (OSError, RuntimeError, SafetensorError) as error:  # torch and safetensors on disk
            kept = read_progress(folder).step if folder.exists() else None
            raise TrainError(
                f"the checkpoint of step {progress.step} cannot be written to {folder}: {error}; "
                + (f"that of step {kept} is kept: " if kept is not None else "")
                + "make room and go on with --resume"
            ) from error
    world.wait()


def find_checkpoint(run: Path, name: str = "checkpoint") -> Path:
    """Raises TrainError when the run has none."""
    folder = run / name
    restore_folder(folder)
    if not (folder / "train.json").is_file():
        raise TrainError(f"{run} has no {name} to resume; start it without --resume")
    return folder


def read_progress(checkpoint: Path) -> Progress:
    """Raises TrainError."""
    path = checkpoint / "train.json"
    try:
        values = json.loads(path.read_text())
        return Progress(**{**values, "config": TrainConfig().replaced(values["config"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise TrainError(f"{path} is damaged or of another version: {error!r}") from error


def load_optimizers(checkpoint: Path, module: nn.Module, optimizers: Optimizers) -> bool:
    """Put the optimizers into their saved state; False when the checkpoint has none.

    Raises TrainError when it is another optimizer's.
    """
    path = checkpoint / "state.pt"
    if not path.exists():
        return False
    options = StateDictOptions(full_state_dict=True)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        set_optimizer_state_dict(module, optimizers, state, options=options)
    except (RuntimeError, KeyError, ValueError) as error:
        raise TrainError(
            f"{path} does not fit this run's optimizer ({error}); "
            "delete it to go on with a new warm-up"
        ) from error
    return True
