"""The one-head key/value cache against the output of CTranslate2's own converter.

    python -m benchmarks.studies.one_head_cache

Random weights with SantaCoder's attention (2048 wide, 16 heads) in a few layers, converted by both.
Prints, for a context of 1900 tokens, the memory of its state and the decoding speed, and their
ratios. A speed is the median of five runs. Needs transformers and torch; memory is read on Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONTEXT = 1900
NEW_TOKENS = 40
STATES = 4


def measure(model_dir: Path, threads: int) -> dict[str, float]:
    """Bytes that the state of one context takes, and tokens decoded a second after it."""
    import ctranslate2

    vocabulary = json.loads((model_dir / "vocabulary.json").read_text())
    generator = ctranslate2.Generator(str(model_dir), compute_type="int8", intra_threads=threads)

    def resident() -> int:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def run(seed: int, new_tokens: int) -> float:
        """Seconds; the state of the context is kept from the first time on."""
        context = [vocabulary[1 + (seed + 7 * i) % 250] for i in range(CONTEXT)]
        started = time.perf_counter()
        generator.generate_batch(
            [[vocabulary[9]]], static_prompt=context, max_length=new_tokens, min_length=new_tokens
        )
        return time.perf_counter() - started

    for seed in range(3):  # until the working memory has its size
        run(seed, 1)
    before = resident()
    for seed in range(3, 3 + STATES):
        run(seed, 1)
    state = (resident() - before) / STATES
    seconds = [run(3, NEW_TOKENS) - run(3, 1) for _ in range(5)]
    return {
        "state_mb": round(state / 1e6, 1),
        "decode_tokens_per_second": round((NEW_TOKENS - 1) / statistics.median(seconds), 1),
    }


def convert_both(folder: Path, n_layer: int) -> None:
    """`ours` and `stock` in a folder, from the same weights."""
    from ctranslate2.converters import TransformersConverter

    from santa_lsp.convert import convert
    from tests.support import reference

    sizes = {"n_embd": 2048, "n_head": 16, "n_inner": 8192, "n_positions": 2048}
    model = reference.GPTBigCodeForCausalLM(
        reference.GPTBigCodeConfig(vocab_size=301, n_layer=n_layer, **sizes)
    )
    checkpoint = folder / "checkpoint"
    model.save_pretrained(checkpoint)
    reference.write_tokenizer(checkpoint)
    special = {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}
    tokenizer = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "<|endoftext|>"}
    (checkpoint / "tokenizer_config.json").write_text(json.dumps({**special, **tokenizer}))
    convert(checkpoint, folder / "ours", name="ours")
    TransformersConverter(str(checkpoint)).convert(str(folder / "stock"), quantization="int8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--threads", type=int, default=0, help="default: CTranslate2's choice")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)  # a process of its own
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.threads)))
        return
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        convert_both(Path(folder), arguments.layers)
        for kind in ("stock", "ours"):
            options = ["--measure", str(Path(folder) / kind), "--threads", str(arguments.threads)]
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.studies.one_head_cache", *options],
                check=True,
                capture_output=True,
                text=True,
            )
            results[kind] = json.loads(done.stdout)
    for name in results["ours"]:
        results[f"{name}_ratio"] = round(results["ours"][name] / results["stock"][name], 3)
    print(json.dumps({"layers": arguments.layers, "context": CONTEXT, **results}))


if __name__ == "__main__":
    main()
