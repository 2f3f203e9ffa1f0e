"""`santa-lsp export CHECKPOINT OUTPUT`: any supported checkpoint -> a model directory, or GGUF."""

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
    parser.add_argument("output", type=Path, help="the folder, or the GGUF file, to make")
    parser.add_argument(
        "--format",
        choices=("ctranslate2", "gguf"),
        default="ctranslate2",
        help="gguf is for llama.cpp and the programs built on it",
    )
    parser.add_argument(
        "--quantization",
        metavar="TYPE",
        help=f"{QUANTIZATION_HELP}; for gguf q8_0 (default), q5_1, q4_1, f16 or f32",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Convert, and print the command that serves the result. Raises ModelError."""
    from santa_lsp.convert import convert
    from santa_lsp.convert.gguf_writer import to_gguf
    from santa_lsp.convert.progress import progress_bar

    checkpoint, output = arguments.checkpoint, arguments.output
    with progress_bar("converting") as on_progress:
        if arguments.format == "gguf":
            to_gguf(
                checkpoint,
                output,
                name=output.stem,
                quantization=arguments.quantization or "q8_0",
                on_progress=on_progress,
            )
        else:
            convert(
                checkpoint,
                output,
                name=output.name,
                quantization=arguments.quantization or "int8",
                on_progress=on_progress,
            )
    if arguments.format == "gguf":
        print(f"{output.stat().st_size / 1e6:.0f} MB in {output}")
    else:
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
