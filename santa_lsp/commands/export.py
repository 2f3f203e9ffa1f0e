"""`santa-lsp export CHECKPOINT OUTPUT`: any supported checkpoint -> a model directory."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from santa_lsp import models
from santa_lsp.models import Model

QUANTIZATION_HELP = "int8 (default), int8_float16, float16, bfloat16 or float32"


def add_parser(commands: Any) -> None:
    """`export` among the sub-commands."""
    parser = commands.add_parser("export", help="convert a checkpoint to a model directory")
    parser.add_argument("checkpoint", type=Path, help="a folder or a weights file")
    parser.add_argument("output", type=Path, help="the folder to make")
    parser.add_argument("--quantization", default="int8", metavar="TYPE", help=QUANTIZATION_HELP)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Convert, and print the command that serves the result. Raises ModelError."""
    from santa_lsp.convert import convert
    from santa_lsp.convert.progress import progress_bar

    with progress_bar("converting") as on_progress:
        output = convert(
            arguments.checkpoint,
            arguments.output,
            name=arguments.output.name,
            quantization=arguments.quantization,
            on_progress=on_progress,
        )
    announce(models.open_model(output), str(output))


def announce(model: Model, name: str) -> None:
    """Print where the model is, and how to serve it."""
    if model.prompt_format is None:
        print(
            "the tokenizer has no fill-in-the-middle tokens, so the model completes from the text "
            "before the cursor alone"
        )
    print(f"{model.size / 1e6:.0f} MB in {model.directory}, loaded and tried")
    print(f"to serve it: santa-lsp --model {name}, or the setting model = {name!r} in your editor")
