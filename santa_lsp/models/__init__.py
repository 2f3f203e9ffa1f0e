"""From model names to verified model directories."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from santa_lsp import EMBEDDED
from santa_lsp.models.files import remove_folder

FILES = ("model.bin", "config.json", "vocabulary.json", "tokenizer.json", "santa.json")


class ModelError(Exception):
    """A model that is missing, damaged or no model. The message names the remedy."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model directory and the contents of its santa.json."""

    name: str
    directory: Path
    n_positions: int
    card: dict[str, Any]

    @property
    def prompt_format(self) -> dict[str, Any] | None:
        """The prompt's form (santa_lsp.families.forms.PromptForm); None: left to right."""
        found: dict[str, Any] | None = self.card["prompt_format"]
        return found

    @property
    def path_comment(self) -> bool:
        """Whether the model was taught to see santa_lsp.families.prompt.path_comment."""
        return bool(self.card.get("path_comment", False))

    @property
    def stop_tokens(self) -> tuple[str, ...]:
        """Any of these ends a completion; the first is end-of-text."""
        return tuple(self.card["stop_tokens"])

    @property
    def start_tokens(self) -> tuple[str, ...]:
        """What every prompt starts with."""
        return (self.card["bos_token"],) if self.card.get("bos_token") else ()

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum((self.directory / name).stat().st_size for name in FILES)


def home() -> Path:
    """The user's data folder; SANTA_LSP_HOME overrides it."""
    if override := os.environ.get("SANTA_LSP_HOME"):
        return Path(override)
    import platformdirs  # late: serving the embedded model does not need it

    return Path(platformdirs.user_data_dir("santa-lsp", False))


def embedded_directory() -> Path:
    return Path(__file__).parents[1] / "data" / EMBEDDED


def installed() -> list[Model]:
    """The embedded model, then the user's by name, without damaged and unfinished ones."""
    folders = (each for each in (home() / "models").glob("*/") if not each.name.startswith("."))
    directories = [embedded_directory(), *sorted(folders)]
    found = []
    for directory in directories:
        try:
            found.append(open_model(directory))
        except ModelError:
            continue
    return found


def remove(name: str) -> None:
    """Delete a model of the user's folder, also a damaged one. Raises ModelError."""
    if name == EMBEDDED:
        raise ModelError(f"{EMBEDDED} comes with santa-lsp; uninstall santa-lsp to remove it")
    directory = home() / "models" / name
    if not name or Path(name).name != name or not directory.is_dir():
        known = ", ".join(model.name for model in installed() if model.name != EMBEDDED)
        raise ModelError(f"there is no model {name!r} to remove; you have added {known or 'none'}")
    remove_folder(directory)


def find(name: str) -> Model:
    """The model of a name (embedded, or in the user's folder) or of a directory's path.

    Raises ModelError.
    """
    if name == EMBEDDED:
        return open_model(embedded_directory())
    named = home() / "models" / name
    if os.sep not in name and named.is_dir():
        return open_model(named)
    path = Path(name).expanduser()
    if path.is_dir():
        return open_model(path)
    known = ", ".join(model.name for model in installed())
    raise ModelError(
        f"there is no model {name!r}; choose one of {known}, give a model's folder, or run "
        "santa-lsp models add"
    )


def open_model(directory: Path) -> Model:
    """Read and check a model directory without loading it. Raises ModelError."""
    missing = [name for name in FILES if not (directory / name).is_file()]
    if missing:
        hint = ""
        if any((directory / name).exists() for name in ("model.safetensors", "pytorch_model.bin")):
            hint = f"; it looks like a checkpoint: run santa-lsp export {directory} OUTPUT first"
        raise ModelError(f"{directory} is no model directory: it lacks {', '.join(missing)}{hint}")
    try:
        card = json.loads((directory / "santa.json").read_text(encoding="utf-8"))
        name, n_positions = str(card["name"]), int(card["n_positions"])
        if not card["stop_tokens"] or not isinstance(card["prompt_format"], dict | None):
            raise ValueError("prompt_format or stop_tokens")
        checksums = dict(card["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{directory}/santa.json is damaged ({error!r}); export the model again"
        ) from error
    for file, expected in checksums.items():
        # `verify` checks model.bin: hashing gigabytes takes too long for every start.
        if file != "model.bin" and _sha256(directory / file) != expected:
            raise ModelError(f"{directory}/{file} is damaged (checksum); install the model again")
    return Model(name, directory, n_positions, card)


def verify(model: Model) -> None:
    """Check every file's checksum, model.bin included. Raises ModelError."""
    for file, expected in model.card["sha256"].items():
        if _sha256(model.directory / file) != expected:
            raise ModelError(
                f"{model.directory}/{file} is damaged (checksum); install the model again"
            )


def _sha256(path: Path) -> str:
    if not path.is_file():
        raise ModelError(f"{path} is missing; install the model again")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
