"""The files of a checkpoint that hold its weights, and the reason when none does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from santa_lsp.convert.errors import ConvertError

MEGATRON_WEIGHTS = "model_optim_rng.pt"
MODEL_BIN = "model.bin"
#: In the order they are looked for; an index names the shards beside it.
WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    MEGATRON_WEIGHTS,
    MODEL_BIN,
)
#: What a Megatron-LM run's folder says about its newest iteration.
_LATEST = "latest_checkpointed_iteration.txt"
#: How a file begins that stands for another until git-lfs has fetched it.
_POINTER = b"version https://git-lfs"


def find(folders: list[Path], name: str) -> Path | None:
    """The file of that name in the first folder that has it."""
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def find_weights(path: Path) -> Path:
    """The file of weights, or the index of several. Raises ConvertError."""
    if path.is_symlink() and not path.exists():
        raise ConvertError(f"{path} is a link to a file that is not there; download it again")
    if not path.exists():
        raise ConvertError(f"there is no checkpoint {path}")
    if path.is_file():
        return path
    for name in WEIGHTS:
        if (path / name).is_file():
            return path / name
        if (path / name).is_symlink():
            return find_weights(path / name)
    if files := sorted(path.glob("*.gguf")):
        return _only_gguf(path, files)
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
    raise ConvertError(f"{path} has no weights: none of {', '.join(WEIGHTS)}, no GGUF file")


def _only_gguf(folder: Path, files: list[Path]) -> Path:
    """The one model of a folder: one file, or the first of its parts."""
    firsts = [file for file in files if "-of-" not in file.name or "-00001-of-" in file.name]
    if len(firsts) != 1:
        names = ", ".join(file.name for file in files)
        raise ConvertError(f"{folder} has several GGUF files; name one of {names}")
    return find_weights(firsts[0])


def _newest_iteration(run: Path) -> Path:
    """The folder of a Megatron-LM run that counts; the run's own when it has none."""
    if (latest := run / _LATEST).is_file() and (number := latest.read_text().strip()).isdigit():
        return run / f"iter_{int(number):07}"
    return max(run.glob("iter_*/"), default=run)


def start_of(path: Path, count: int = 64) -> bytes:
    """The first bytes of a file. Raises ConvertError for one that git-lfs has not fetched."""
    with path.open("rb") as file:
        start = file.read(count)
    if start.startswith(_POINTER):
        raise ConvertError(
            f"{path} is git-lfs's pointer to a file, not the file; run `git lfs pull` in its folder"
        )
    return start


def read_json(path: Path | None) -> dict[str, Any]:
    """A file that holds a JSON object; empty without a file. Raises ConvertError."""
    if path is None:
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        start_of(path)
        raise ConvertError(f"{path} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ConvertError(f"{path} is not a JSON object")
    return values
