"""The model that a run starts from: an installed one, any checkpoint, or another run's."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.checkpoint import config_json, model_of
from model.train.errors import TrainError
from model.transformer import Transformer
from santa_lsp import models
from santa_lsp.convert.card import bos_token, prompt_of
from santa_lsp.convert.checkpoint import Checkpoint, open_checkpoint
from santa_lsp.families.architecture import FamilyError

#: What a card says of a model that is as true of all that is trained from it.
_KEPT = ("licence", "licence_url", "use_restrictions")


@dataclass(frozen=True, slots=True)
class Initial:
    """Weights in float32, and what must go with them and with all that is made of them.

    `tokenizer` is the text of a tokenizer.json, `notices` are licences and the like, and `card` has
    entries of a santa.json: where the model is from, and how its prompts are written.
    """

    model: Transformer
    tokenizer: str
    notices: tuple[Path, ...]
    card: dict[str, Any]

    def write_companions(self, folder: Path) -> None:
        """The files that go with the weights, into a folder that may be new."""
        folder.mkdir(exist_ok=True)
        for notice in self.notices:
            shutil.copyfile(notice, folder / notice.name)
        (folder / "tokenizer.json").write_text(self.tokenizer, encoding="utf-8")
        card = json.dumps(self.card, indent=2, ensure_ascii=False)
        (folder / "santa.json").write_text(f"{card}\n", encoding="utf-8")


def load_initial(name: str) -> Initial:
    """A run, a checkpoint of any layout that santa_lsp.convert reads, a GGUF file, a model
    directory, or the name of an installed model (`santa-lsp models list`). Raises TrainError."""
    path = Path(name)
    try:
        if (path / "checkpoint").is_dir():
            path = path / "checkpoint"
        elif not path.exists():
            path = models.find(name).directory
        found = open_checkpoint(path)
        model = model_of(found)
        config_json(model.config)  # what cannot be saved is not worth training
    except (models.ModelError, FamilyError) as error:
        raise TrainError(f"--init-from {name}: {error}") from error
    if found.tokenizer_path is None:
        tokenizer = str(found.tokenizer.to_str(pretty=True))
    else:
        tokenizer = found.tokenizer_path.read_text(encoding="utf-8")
    return Initial(model, tokenizer, found.notices, _card(found, path, name))


def _card(found: Checkpoint, path: Path, name: str) -> dict[str, Any]:
    file = path / "santa.json"
    source = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    form, stop_tokens = prompt_of(found)
    return {
        "source": f"trained from {source.get('name', Path(name).name)}",
        **{key: found.about[key] for key in _KEPT if found.about.get(key)},
        "prompt_format": form.to_json() if form else None,
        "stop_tokens": list(stop_tokens),
        "bos_token": bos_token(found.tokenizer, found.metadata),
    }
