"""Any checkpoint of a known family -> a CTranslate2 model directory, without torch."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from tokenizers import Tokenizer

from santa_lsp import models
from santa_lsp.completion.context import CompletionContext
from santa_lsp.completion.engine import EngineError, Limits, Stop
from santa_lsp.convert.card import prompt_of, write_card
from santa_lsp.convert.checkpoint import Checkpoint, open_checkpoint
from santa_lsp.convert.errors import ConvertError
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

    `checkpoint` is whatever `open_checkpoint` takes. `output` gets `model.bin config.json
    vocabulary.json tokenizer.json santa.json` and the checkpoint's licence files; it appears only
    when it is complete and has made a completion. `description` goes into santa.json. At its peak
    this takes the memory of the largest tensor twice, in float32, and that of the quantized model.
    Raises ConvertError.
    """
    require_quantization(quantization)
    if output.exists():
        raise ConvertError(f"{output} exists already; remove it or choose another name")
    found = open_checkpoint(checkpoint)
    try:
        with whole_folder(output) as building:
            _write_weights(building, found, quantization, on_progress)
            _write_tokenizer(building, found)
            for notice in found.notices:
                shutil.copyfile(notice, building / notice.name)
            write_card(building, name, found, quantization, description or {})
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


def _write_weights(
    folder: Path,
    checkpoint: Checkpoint,
    quantization: str,
    on_progress: Callable[[int, int], None],
) -> None:
    """The quantized model, which is in memory no longer than this takes. Raises ConvertError."""
    # Late: training reads checkpoints on machines without CTranslate2.
    from santa_lsp.convert.specification import build_spec

    done, total = 0, len(checkpoint.tensors)

    def on_read() -> None:
        nonlocal done
        done += 1
        on_progress(done, total)

    vocabulary = _vocabulary(checkpoint.tokenizer, checkpoint.architecture.vocab_size)
    _, (end_token, *_) = prompt_of(checkpoint)
    spec = build_spec(checkpoint.tensors, checkpoint.architecture, vocabulary, end_token, on_read)
    spec.validate()
    spec.optimize(quantization=quantization)
    spec.save(str(folder))


def _write_tokenizer(folder: Path, checkpoint: Checkpoint) -> None:
    output = folder / "tokenizer.json"
    if checkpoint.tokenizer_path is not None:
        shutil.copyfile(checkpoint.tokenizer_path, output)
    else:
        checkpoint.tokenizer.save(str(output))


def _vocabulary(tokenizer: Tokenizer, vocab_size: int) -> list[str]:
    """Tokens in id order; ids the tokenizer lacks (padded embeddings) get names of their own."""
    if tokenizer.get_vocab_size() > vocab_size:
        raise ConvertError(
            f"tokenizer.json has {tokenizer.get_vocab_size()} tokens, the model only {vocab_size}"
        )
    return [tokenizer.id_to_token(i) or f"<padding-{i}>" for i in range(vocab_size)]


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
