"""Whether llama.cpp computes the same with our GGUF file as CTranslate2.

    python -m benchmarks.studies.same_weights --server PATH/llama-server [--quantization int8]

santa-mini's shape with random weights. Compares, on Python's own argparse.py, the tokens of the
text and the log probabilities (nats) of the 20 tokens that llama.cpp finds most probable after each
of some prompts. In float32 they agree but for llama.cpp's 16-bit cache; int8 and Q8_0 round each
in their own way, which random weights do not forgive.
"""

from __future__ import annotations

import argparse
import inspect
import json
import tempfile
from pathlib import Path

import ctranslate2
import numpy as np

from benchmarks.peers.llama_cpp import LlamaCpp
from benchmarks.random_model import SHAPES, write_checkpoint
from model import tokenizer
from santa_lsp.convert import convert
from santa_lsp.convert.gguf_writer import to_gguf
from santa_lsp.families.forms import find_form

PROMPTS, CHARACTERS = 12, 800


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--server", type=Path, required=True, help="llama.cpp's llama-server")
    parser.add_argument("--quantization", choices=("float32", "int8"), default="float32")
    arguments = parser.parse_args()
    text = inspect.getsource(argparse)
    largest, same = [], 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_checkpoint(folder / "checkpoint", SHAPES["mini"])
        exact = arguments.quantization == "float32"
        to_gguf(
            folder / "checkpoint",
            folder / "model.gguf",
            name="mini",
            quantization="f32" if exact else "q8_0",
        )
        model_dir = convert(
            folder / "checkpoint",
            folder / "model",
            name="mini",
            quantization=arguments.quantization,
        )
        tokens = tokenizer.load(model_dir / "tokenizer.json")
        form = find_form(tokens.token_to_id, {})
        assert form is not None
        ours = ctranslate2.Generator(str(model_dir), compute_type=arguments.quantization)
        with LlamaCpp(arguments.server, folder / "model.gguf", 512, threads=2) as theirs:
            ids = tokens.encode(text[:6000]).ids
            same_tokens = theirs.tokenize(text[:6000]) == ids
            for number in range(PROMPTS):
                piece = text[2500 * number :][:CHARACTERS]
                ids = form.with_order("spm").assemble(
                    tokens.encode(piece).ids, tokens.encode("\n").ids
                )
                best = theirs.best_next(ids, 20)
                scores = np.array(
                    ours.forward_batch([list(map(tokens.id_to_token, ids))], return_log_probs=True)
                )[0, -1]
                largest.append(max(abs(scores[each] - score) for each, score in best.items()))
                same += int(scores.argmax()) == max(best, key=lambda each: best[each])
    result = {
        "quantization": arguments.quantization,
        "same_tokens": same_tokens,
        "prompts": PROMPTS,
        "same_most_probable": same,
        "log_prob_difference_median": round(float(np.median(largest)), 4),
        "log_prob_difference_largest": round(float(max(largest)), 4),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
