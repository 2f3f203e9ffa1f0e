"""`santa.json`: what a model is, and all that serving needs to know of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from santa_lsp.convert.checkpoint import Checkpoint
from santa_lsp.convert.errors import ConvertError
from santa_lsp.convert.specification import state_bytes_per_token
from santa_lsp.families.forms import SPM, PromptForm, find_form, find_stop_tokens
from santa_lsp.families.prompt import find_dialect


def prompt_of(checkpoint: Checkpoint) -> tuple[PromptForm | None, tuple[str, ...]]:
    """The form that a model was taught, None if none, and the tokens that end a completion.

    Raises ConvertError when no token does.
    """
    token_to_id = checkpoint.tokenizer.token_to_id
    try:
        form = find_form(token_to_id, checkpoint.metadata)
    except ValueError as error:
        raise ConvertError(str(error)) from error
    ends = find_stop_tokens(token_to_id, checkpoint.metadata, form)
    if not ends:
        raise ConvertError(
            "the tokenizer has no <|endoftext|> and the configuration no eos_token_id, so "
            "completions could not end"
        )
    return form, ends


def write_card(
    model_dir: Path,
    name: str,
    checkpoint: Checkpoint,
    quantization: str,
    description: Mapping[str, object],
) -> None:
    """Write the card, with the sha256 of each file that is there. Raises ConvertError."""
    form, stop_tokens = prompt_of(checkpoint)
    dialect = find_dialect(checkpoint.tokenizer.token_to_id)
    architecture = checkpoint.architecture
    card = {
        "name": name,
        "source": "",
        "revision": "",
        "licence": "",
        "licence_url": "",
        "languages": [],
        "family": checkpoint.family,
        "prompt_format": form.to_json() if form else None,
        "stop_tokens": list(stop_tokens),
        "bos_token": bos_token_of(checkpoint),
        "fim_dialect": dialect[0].name if dialect else None,
        "order": None if form is None else "spm" if form.order == SPM else "psm",
        "path_comment": checkpoint.path_comment,
        "n_positions": architecture.exact_positions,
        **_positions_note(checkpoint),
        "state_bytes_per_token": state_bytes_per_token(architecture),
        "parameters": architecture.parameters,
        "quantization": quantization,
        "scores": {},
        **{key: value for key, value in checkpoint.about.items() if value},
        **description,
        "sha256": {file.name: _sha256(file) for file in sorted(model_dir.iterdir())},
    }
    text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
    (model_dir / "santa.json").write_text(text, encoding="utf-8")


def _positions_note(checkpoint: Checkpoint) -> dict[str, str]:
    architecture = checkpoint.architecture
    if architecture.exact_positions == architecture.n_positions:
        return {}
    return {
        "n_positions_note": (
            f"the model knows {architecture.n_positions} positions and its attention sees the last "
            f"{architecture.sliding_window}, which CTranslate2 does not compute: it is used up to "
            "the point where both are the same"
        )
    }


def bos_token_of(checkpoint: Checkpoint) -> str | None:
    """The token that every prompt starts with; None in most code models."""
    tokenizer, metadata = checkpoint.tokenizer, checkpoint.metadata
    if "bos_token" in metadata:
        token = metadata["bos_token"]
        return token if token and tokenizer.token_to_id(token) is not None else None
    plain = tokenizer.encode("a", add_special_tokens=False).ids
    ids = tokenizer.encode("a", add_special_tokens=True).ids
    added = len(ids) > len(plain) and ids[0] != plain[0]
    return str(tokenizer.id_to_token(ids[0])) if added else None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
