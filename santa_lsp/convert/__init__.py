"""Any SantaCoder-family checkpoint -> a CTranslate2 model directory, without torch."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from tokenizers import Tokenizer

from santa_lsp import models
from santa_lsp.completion.context import CompletionContext
from santa_lsp.completion.engine import EngineError, Limits, Stop
from santa_lsp.convert.checkpoint import Checkpoint, open_checkpoint
from santa_lsp.convert.errors import ConvertError
from santa_lsp.convert.specification import build_spec
from santa_lsp.families.prompt import END_OF_TEXT, Order, find_dialect
from santa_lsp.models.files import whole_folder

__all__ = ["QUANTIZATIONS", "ConvertError", "convert", "require_quantization"]

QUANTIZATIONS = ("int8", "int8_float16", "float16", "bfloat16", "float32")


def convert(
    checkpoint: Path,
    output: Path,
    *,
    name: str,
    quantization: str = "int8",
    description: Mapping[str, object] | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write the model directory `output` and return it; `on_progress` gets tensors done, in all.

    `output` gets `model.bin config.json vocabulary.json tokenizer.json santa.json` and the
    checkpoint's licence files; it appears only when it is complete and has made a completion.
    `description` goes into santa.json. Raises ConvertError.
    """
    require_quantization(quantization)
    if output.exists():
        raise ConvertError(f"{output} exists already; remove it or choose another name")
    found = open_checkpoint(checkpoint)
    tokenizer = _read_tokenizer(found.tokenizer)
    done, total = 0, len(found.tensors)

    def on_read() -> None:
        nonlocal done
        done += 1
        on_progress(done, total)

    vocabulary = _vocabulary(tokenizer, found.config.vocab_size)
    spec = build_spec(found.tensors, found.config, vocabulary, on_read)
    try:
        with whole_folder(output) as building:
            spec.validate()
            spec.optimize(quantization=quantization)
            spec.save(str(building))
            shutil.copyfile(found.tokenizer, building / "tokenizer.json")
            for notice in found.notices:
                shutil.copyfile(notice, building / notice.name)
            _write_card(building, name, found, tokenizer, quantization, description or {})
            _check(building)
    except OSError as error:
        raise ConvertError(f"{output} cannot be written: {error}") from error
    return output


def require_quantization(quantization: str) -> None:
    """Raises ConvertError when there is none of that name."""
    if quantization not in QUANTIZATIONS:
        raise ConvertError(
            f"quantization {quantization!r} is not one of {', '.join(QUANTIZATIONS)}"
        )


def _write_card(
    model_dir: Path,
    name: str,
    checkpoint: Checkpoint,
    tokenizer: Tokenizer,
    quantization: str,
    description: Mapping[str, object],
) -> None:
    """Write `santa.json`: what the model is, and the sha256 of each file beside it."""
    dialect = find_dialect(tokenizer.token_to_id)
    order: Order = "spm"
    card = {
        "name": name,
        "source": "",
        "revision": "",
        "licence": "",
        "licence_url": "",
        "languages": [],
        "fim_dialect": dialect[0].name if dialect else None,
        "order": order if dialect else None,
        "path_comment": checkpoint.path_comment,
        "n_positions": checkpoint.config.n_positions,
        "parameters": sum(math.prod(tensor.shape) for tensor in checkpoint.tensors.values()),
        "quantization": quantization,
        "scores": {},
        **description,
        "sha256": {file.name: _sha256(file) for file in sorted(model_dir.iterdir())},
    }
    text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
    (model_dir / "santa.json").write_text(text, encoding="utf-8")


def _check(model_dir: Path) -> None:
    """Load the model and make one completion. Raises ConvertError."""
    from santa_lsp.engines.ctranslate2 import CTranslate2Engine

    context = CompletionContext("python", "add.py", "def add(a, b):\n    return ", "\n")
    try:
        # "auto" quantizes what the processor cannot compute as it is, instead of widening it.
        engine = CTranslate2Engine(models.open_model(model_dir), "cpu", "auto", threads=1)
        engine.generate(context, Limits(4), lambda piece: False, Stop())
    except (models.ModelError, EngineError, ValueError) as error:
        raise ConvertError(f"the converted model does not complete: {error}") from error


def _read_tokenizer(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
        raise ConvertError(f"{path} cannot be read: {error}") from error


def _vocabulary(tokenizer: Tokenizer, vocab_size: int) -> list[str]:
    """Tokens in id order; ids the tokenizer lacks (padded embeddings) get names of their own."""
    if tokenizer.token_to_id(END_OF_TEXT) is None:
        raise ConvertError(
            f"tokenizer.json has no {END_OF_TEXT} token, so completions could not end"
        )
    if tokenizer.get_vocab_size() > vocab_size:
        raise ConvertError(
            f"tokenizer.json has {tokenizer.get_vocab_size()} tokens, the model only {vocab_size}"
        )
    return [tokenizer.id_to_token(i) or f"<padding-{i}>" for i in range(vocab_size)]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
