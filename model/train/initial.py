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
#: Activations that are tanh-GELU under one name or another.
_TANH_GELU = ("gelu_new", "gelu_fast", "gelu_pytorch_tanh")


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
        return Initial(_model(found), found.tokenizer, found.notices, _origin(path, name))
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
    config = found.config
    rows = found.tensors["h.0.attn.c_attn.weight"].shape[0]
    multi_query = rows == config.n_embd + 2 * config.head_dim
    if not multi_query or "lm_head.weight" in found.tensors or not config.scale_attn_weights:
        raise TrainError("only models with multi-query attention and a tied head can be trained")
    if config.activation_function not in _TANH_GELU:
        raise TrainError(f"activation {config.activation_function!r} cannot be trained, only GELU")
    with torch.device("meta"):
        model = GPT(
            GPTConfig(
                vocab_size=config.vocab_size,
                n_positions=config.n_positions,
                n_embd=config.n_embd,
                n_layer=config.n_layer,
                n_head=config.n_head,
                n_inner=config.n_inner,
                layer_norm_epsilon=config.layer_norm_epsilon,
                path_comment=found.path_comment,
            )
        )
    tensors = {f"transformer.{k}": torch.from_numpy(t.read()) for k, t in found.tensors.items()}
    model.load_state_dict(tensors, assign=True)
    return model.requires_grad_(True)
