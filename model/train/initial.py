"""The model that a run starts from: an installed one, any checkpoint, or another run's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from model.gpt import GPT, GPTConfig
from model.train.errors import TrainError

if TYPE_CHECKING:
    from santa_lsp.convert.checkpoint import Checkpoint

#: In a run and its checkpoints: where the initial model was from, and its licence.
ORIGIN_FILE = "origin.json"


@dataclass(frozen=True, slots=True)
class Initial:
    """Weights in float32, and the notices that must go with all models made of them."""

    model: GPT
    tokenizer: Path
    notices: tuple[Path, ...]  # licence texts and the like
    origin: dict[str, str]  # where it is from and its licence, as far as its files say


def load_initial(name: str) -> Initial:
    """A run, a checkpoint of any layout that santa_lsp.convert reads, a model directory, or the
    name of an installed model (`santa-lsp models list`). Raises TrainError."""
    # Late: only a run that starts from a model needs CTranslate2's package.
    from santa_lsp import models
    from santa_lsp.convert import ConvertError
    from santa_lsp.convert.checkpoint import open_checkpoint

    path = Path(name)
    try:
        if (path / "checkpoint").is_dir():
            path = path / "checkpoint"
        elif not path.exists():
            path = models.find(name).directory
        found = open_checkpoint(path)
        if found.tokenizer_path is None:
            raise TrainError(f"--init-from {name}: a GGUF file cannot be trained on")
        return Initial(_model(found), found.tokenizer_path, found.notices, _origin(path, name))
    except (ConvertError, models.ModelError) as error:
        raise TrainError(f"--init-from {name}: {error}") from error


def _origin(path: Path, name: str) -> dict[str, str]:
    """For the santa.json of models that are trained from it."""
    for file in (path / ORIGIN_FILE, path / "santa.json"):
        if file.is_file():
            card = json.loads(file.read_text())
            kept = {key: card[key] for key in ("licence", "licence_url") if key in card}
            return {"source": f"trained from {card.get('name', name)}", **kept}
    return {"source": f"trained from {name}"}


def _model(found: Checkpoint) -> GPT:
    config = found.architecture
    if found.family != "gpt_bigcode":
        raise TrainError(f"models of the family {found.family} cannot be trained")
    if config.n_kv_head != 1 or not config.tied or config.attention_scale is not None:
        raise TrainError("only models with multi-query attention and a tied head can be trained")
    if config.activation != "gelu_tanh":
        raise TrainError(f"activation {config.activation!r} cannot be trained, only GELU")
    with torch.device("meta"):
        model = GPT(
            GPTConfig(
                vocab_size=config.vocab_size,
                n_positions=config.n_positions,
                n_embd=config.n_embd,
                n_layer=config.n_layer,
                n_head=config.n_head,
                n_inner=config.n_inner,
                layer_norm_epsilon=config.norm_epsilon,
                path_comment=found.path_comment,
            )
        )
    tensors = {f"transformer.{k}": torch.from_numpy(t.read()) for k, t in found.tensors.items()}
    model.load_state_dict(tensors, assign=True)
    return model.requires_grad_(True)
