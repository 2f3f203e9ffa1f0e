"""The cost of int8: agreement with float32 and perplexity, on real files.

    python -m benchmarks.int8_quality CHECKPOINT FILE...

CHECKPOINT is anything that santa-lsp export takes. Both models are converted from it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import ctranslate2
import numpy as np
from tokenizers import Tokenizer

from santa_lsp.convert import convert
from santa_lsp.families.prompt import END_OF_TEXT

#: Tokens that are scored together.
WINDOW = 256


def windows(model_dir: Path, text: str) -> Iterator[list[str]]:
    """The text's tokens in windows that begin as a document does."""
    tokenizer = Tokenizer.from_file(str(model_dir / "tokenizer.json"))
    tokens = tokenizer.encode(text, add_special_tokens=False).tokens
    for start in range(0, len(tokens), WINDOW - 1):
        yield [END_OF_TEXT, *tokens[start : start + WINDOW - 1]]


def log_probs(model_dir: Path, compute_type: str, text: str) -> tuple[np.ndarray, np.ndarray]:
    """At each position, the log probability of the next token, and the most probable token."""
    vocabulary = json.loads((model_dir / "vocabulary.json").read_text())
    ids = {token: i for i, token in enumerate(vocabulary)}
    generator = ctranslate2.Generator(str(model_dir), compute_type=compute_type)
    scores, best = [], []
    for window in windows(model_dir, text):
        found = np.array(generator.forward_batch([window], return_log_probs=True))[0]
        following = [ids[token] for token in window[1:]]
        scores.append(found[np.arange(len(following)), following])
        best.append(found[:-1].argmax(-1))
    return np.concatenate(scores), np.concatenate(best)


def compare(float_dir: Path, int8_dir: Path, text: str) -> dict[str, float]:
    """Both perplexities, their relative change, and how often the most probable token agrees."""
    float_scores, float_best = log_probs(float_dir, "float32", text)
    int8_scores, int8_best = log_probs(int8_dir, "int8", text)
    before, after = (float(np.exp(-scores.mean())) for scores in (float_scores, int8_scores))
    return {
        "tokens": len(float_scores),
        "perplexity_float32": round(before, 4),
        "perplexity_int8": round(after, 4),
        "perplexity_change": round(after / before - 1, 6),
        "argmax_agreement": round(float((float_best == int8_best).mean()), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("files", type=Path, nargs="+")
    arguments = parser.parse_args()
    text = "\n".join(file.read_text(encoding="utf-8") for file in arguments.files)
    with tempfile.TemporaryDirectory() as folder:
        float_dir, int8_dir = (
            convert(arguments.checkpoint, Path(folder) / kind, name=kind, quantization=kind)
            for kind in ("float32", "int8")
        )
        print(json.dumps(compare(float_dir, int8_dir, text)))


if __name__ == "__main__":
    main()
