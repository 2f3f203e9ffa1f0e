"""Export a checkpoint to a CTranslate2 model directory and check that it computes the same.

    python -m model.export runs/santa-mini OUTPUT --name my-model

Prints the largest difference of float32 logits against torch (more than 1e-3 is an error) and how
often the int8 model's most probable token is torch's.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import numpy as np
import torch

from model.checkpoint import load_model
from santa_lsp.convert import ConvertError, convert
from santa_lsp.convert.progress import progress_bar

#: Largest accepted |difference| of float32 logits.
TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Parity:
    """How close the converted model computes; logits of `rows * length` positions."""

    max_difference: float
    int8_agreement: float


def measure_parity(checkpoint: Path, rows: int = 8, length: int | None = None) -> Parity:
    """Compare CTranslate2 float32 and int8 with torch on random ids."""
    model = load_model(checkpoint).eval()
    architecture = model.config.architecture
    length = length or min(256, architecture.exact_positions)
    ids = np.random.default_rng(0).integers(0, architecture.vocab_size, (rows, length))
    with torch.inference_mode():
        expected = model(torch.from_numpy(ids)).numpy()
    with tempfile.TemporaryDirectory() as folder:
        logits = {
            quantization: _logits(
                convert(
                    checkpoint,
                    Path(folder) / quantization,
                    name="parity",
                    quantization=quantization,
                ),
                ids,
                quantization,
            )
            for quantization in ("float32", "int8")
        }
    return Parity(
        max_difference=float(np.abs(logits["float32"] - expected).max()),
        int8_agreement=float((logits["int8"].argmax(-1) == expected.argmax(-1)).mean()),
    )


def _logits(model_dir: Path, ids: np.ndarray, compute_type: str) -> np.ndarray:
    vocabulary = json.loads((model_dir / "vocabulary.json").read_text())
    generator = ctranslate2.Generator(str(model_dir), compute_type=compute_type)
    tokens = [[vocabulary[i] for i in row] for row in ids.tolist()]
    return np.array(generator.forward_batch(tokens, return_log_probs=False))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path, help="a run's folder, or a checkpoint folder")
    parser.add_argument("output", type=Path)
    parser.add_argument("--name", help="default: the output folder's name")
    parser.add_argument("--quantization", default="int8")
    parser.add_argument(
        "--card",
        type=Path,
        help="JSON whose entries go into santa.json, over those of the model it was trained from",
    )
    arguments = parser.parse_args()
    checkpoint = arguments.checkpoint
    if (checkpoint / "checkpoint").is_dir():
        checkpoint = checkpoint / "checkpoint"
    try:
        card = json.loads(arguments.card.read_text()) if arguments.card else {}
        parity = measure_parity(checkpoint)
        print(f"float32 logits differ by at most {parity.max_difference:.2e}")
        print(f"int8 agrees on the most probable token at {parity.int8_agreement:.2%} of positions")
        if not parity.max_difference <= TOLERANCE:
            raise ConvertError(f"the converted model differs by more than {TOLERANCE}")
        with progress_bar("converting") as on_progress:
            convert(
                checkpoint,
                arguments.output,
                name=arguments.name or arguments.output.name,
                quantization=arguments.quantization,
                description=card,
                on_progress=on_progress,
            )
    except (ConvertError, OSError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
