"""A checkpoint on disk: which files hold it, and its tensors under canonical names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from santa_lsp.convert import layouts
from santa_lsp.convert.config import ModelConfig, from_json, from_megatron
from santa_lsp.convert.errors import ConvertError
from santa_lsp.convert.model_bin import MODEL_FILE, read_model_bin
from santa_lsp.convert.pickle_file import ZIP_MAGIC, Inert, read_pickle
from santa_lsp.convert.safetensors_file import is_safetensors, read_safetensors
from santa_lsp.convert.tensors import Tensor

MEGATRON_WEIGHTS = "model_optim_rng.pt"
#: In the order they are looked for; an index names the shards beside it.
WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    MEGATRON_WEIGHTS,
    MODEL_FILE,
)
#: What a Megatron-LM run's folder says about its newest iteration.
_LATEST = "latest_checkpointed_iteration.txt"
#: Files about the weights that stay with them when they are converted.
_NOTICES = ("LICENSE*", "LICENCE*", "NOTICE*", "README.md")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Canonical tensors (see santa_lsp.convert.layouts), still on disk, and what goes with them."""

    config: ModelConfig
    tensors: Mapping[str, Tensor]
    tokenizer: Path
    notices: tuple[Path, ...]
    path_comment: bool  # whether it was taught to see santa_lsp.prompt.path_comment


def open_checkpoint(path: Path) -> Checkpoint:
    """Of a folder, a Megatron-LM run's folder, a weights file or a model directory.

    Raises ConvertError.
    """
    if not path.exists():
        raise ConvertError(f"there is no checkpoint {path}")
    weights = _find_weights(path)
    # A Megatron-LM file lies two folders below the run's, where people put the rest.
    folders = [weights.parent, *weights.parent.parents]
    folders = folders[: folders.index(path if path.is_dir() else path.parent) + 1]
    config, tensors = _read_model(weights, _find(folders, "config.json"))
    tokenizer = _find(folders, "tokenizer.json")
    if tokenizer is None:
        raise ConvertError(f"{path} has no tokenizer.json; copy the model's own into it")
    notices = {file for each in _NOTICES for file in folders[-1].glob(each) if file.is_file()}
    path_comment = any(_wants_path(_find(folders, name)) for name in ("config.json", "santa.json"))
    return Checkpoint(config, tensors, tokenizer, tuple(sorted(notices)), path_comment)


def _wants_path(file: Path | None) -> bool:
    """Whether a checkpoint's configuration, or a model directory's card, says so."""
    values = _read_json(file) if file else {}
    return bool(values.get("path_comment", False))


def _read_model(
    weights: Path, config_file: Path | None
) -> tuple[ModelConfig, Mapping[str, Tensor]]:
    if weights.name == MODEL_FILE:
        return read_model_bin(weights)
    found = _read_weights(weights)
    if "model" in found:
        config = _read_config(config_file) if config_file else _megatron_config(found)
        return config, layouts.from_megatron(found, config)
    if config_file is None:
        raise ConvertError(f"{weights.parent} is no checkpoint: it has no config.json")
    config = _read_config(config_file)
    flat = {str(name): each for name, each in found.items() if isinstance(each, Tensor)}
    return config, layouts.from_hugging_face(flat, config)


def _find(folders: list[Path], name: str) -> Path | None:
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def _find_weights(path: Path) -> Path:
    if path.is_file():
        return path
    for name in WEIGHTS:
        if (path / name).is_file():
            return path / name
    if (path / "adapter_config.json").is_file():
        raise ConvertError(f"{path} is an adapter; merge it into its model and save that")
    iteration = _newest_iteration(path)
    ranks = sorted(iteration.glob("mp_rank_*/"))
    if len(ranks) > 1:
        raise ConvertError(
            f"{iteration} is split over {len(ranks)} parallel ranks; merge them with "
            "Megatron-LM's tools"
        )
    if ranks and (ranks[0] / MEGATRON_WEIGHTS).is_file():
        return ranks[0] / MEGATRON_WEIGHTS
    raise ConvertError(f"{path} has no weights: none of {', '.join(WEIGHTS)}")


def _newest_iteration(run: Path) -> Path:
    """The folder of a Megatron-LM run that counts; the run's own when it has none."""
    if (latest := run / _LATEST).is_file() and (number := latest.read_text().strip()).isdigit():
        return run / f"iter_{int(number):07}"
    return max(run.glob("iter_*/"), default=run)


def _read_weights(path: Path) -> Mapping[str, Any]:
    """What a file holds, whatever its name. Raises ConvertError."""
    if path.name.endswith(".index.json"):
        return _read_shards(path)
    with path.open("rb") as file:
        start = file.read(9)
    if is_safetensors(start):
        return read_safetensors(path)
    if not start.startswith(ZIP_MAGIC):
        raise ConvertError(
            f"{path} is neither safetensors nor a file of torch.save; "
            "if PyTorch older than 1.6 wrote it, load it there and save it again"
        )
    found = read_pickle(path)
    if not isinstance(found, dict):
        raise ConvertError(f"{path} holds no dictionary of tensors")
    return found


def _read_shards(index: Path) -> dict[str, Any]:
    try:
        names = sorted({str(name) for name in json.loads(index.read_text())["weight_map"].values()})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConvertError(f"{index} is damaged ({error!r}); download it again") from error
    tensors: dict[str, Any] = {}
    for name in names:
        if Path(name).name != name or not (index.parent / name).is_file():
            raise ConvertError(f"{index.parent} has no file {name}, which {index.name} names")
        tensors.update(_read_weights(index.parent / name))
    return tensors


def _read_config(path: Path) -> ModelConfig:
    return from_json(_read_json(path))


def _read_json(path: Path) -> dict[str, Any]:
    """A file that holds a JSON object. Raises ConvertError."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConvertError(f"{path} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ConvertError(f"{path} is not a JSON object")
    return values


def _megatron_config(checkpoint: Mapping[str, Any]) -> ModelConfig:
    arguments = checkpoint.get("args")
    if not isinstance(arguments, Inert):
        raise ConvertError("the Megatron-LM checkpoint has no args; write a config.json beside it")
    return from_megatron(vars(arguments))
