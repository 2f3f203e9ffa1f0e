"""A model of a given shape with random weights, to measure with where the real one is not at hand.

    python -m benchmarks.random_model FOLDER                  SantaCoder 1.1B's shape
    python -m benchmarks.random_model FOLDER --shape mini     santa-mini's
    python -m benchmarks.random_model FOLDER --shape smollm2-135m

FOLDER gets `checkpoint` (as its family is published, float16, with a tokenizer of the shape's
vocabulary trained on Python's standard library), `model` (the int8 model directory that santa-lsp
serves) and `model.gguf` (the same checkpoint in Q8_0 for llama.cpp). Existing ones are kept.

Speed depends on the shape alone, and on how long a completion is. So the weights are such that
greedy decoding says one word after the other: it neither ends, nor goes to the next line, nor falls
into a loop. The same seed and Python give the same model.
"""

from __future__ import annotations

import argparse
import json
import math
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from tqdm import tqdm

from model.tokenizer import SPECIAL_TOKENS, train
from santa_lsp.convert import convert
from santa_lsp.convert.gguf_writer import to_gguf
from santa_lsp.families import family_named
from santa_lsp.families.architecture import Architecture, Rotary
from santa_lsp.models.files import whole_folder


class Shape(NamedTuple):
    """Sizes, and the family in whose format they are published."""

    family: str
    architecture: Architecture


def santacoder(vocab_size: int, n_positions: int, n_embd: int, n_layer: int, n_head: int) -> Shape:
    return Shape(
        "gpt_bigcode",
        Architecture(vocab_size, n_positions, n_layer, n_embd, 4 * n_embd, n_head, n_kv_head=1),
    )


def llama(
    vocab_size: int,
    n_layer: int,
    n_embd: int,
    n_inner: int,
    n_head: int,
    n_kv_head: int,
    base: float,
    qkv_bias: bool = False,
) -> Shape:
    """Of 8,192 positions; with `qkv_bias`, Qwen2."""
    architecture = Architecture(
        vocab_size,
        8192,
        n_layer,
        n_embd,
        n_inner,
        n_head,
        n_kv_head,
        norm="rms",
        norm_bias=False,
        rotary=Rotary(n_embd // n_head, base),
        activation="silu",
        gated=True,
        qkv_bias=qkv_bias,
        attention_output_bias=False,
        mlp_bias=False,
    )
    return Shape("qwen2" if qkv_bias else "llama", architecture)


SHAPES = {
    "1.1b": santacoder(49280, n_positions=2048, n_embd=2048, n_layer=24, n_head=16),
    "30m": santacoder(16384, n_positions=2048, n_embd=512, n_layer=8, n_head=8),
    "mini": santacoder(4096, n_positions=512, n_embd=192, n_layer=4, n_head=3),
    "smollm2-135m": llama(49152, 30, 576, 1536, 9, 3, base=1e5),
    "qwen2.5-coder-0.5b": llama(151936, 24, 896, 4864, 14, 2, base=1e6, qkv_bias=True),
    "qwen2.5-coder-1.5b": llama(151936, 28, 1536, 8960, 12, 2, base=1e6, qkv_bias=True),
}
#: Characters of the standard library that the tokenizer is trained on.
MOST_CHARACTERS = 12_000_000
#: Scale of the rows of tokens that greedy decoding must not choose.
UNWANTED = 0.1


@dataclass(frozen=True, slots=True)
class RandomModel:
    """One model in the forms that the servers read."""

    checkpoint: Path
    model_dir: Path
    gguf: Path


def make(folder: Path, shape: str, seed: int = 0) -> RandomModel:
    """Write the missing ones; 10 GB of disk and 5 GB of memory pass through at 1.1b."""
    made = RandomModel(folder / "checkpoint", folder / "model", folder / "model.gguf")
    if not made.checkpoint.exists():
        write_checkpoint(made.checkpoint, SHAPES[shape], seed)
    if not made.model_dir.exists():
        with tqdm(desc="int8", unit="tensor") as bar:

            def show(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            convert(made.checkpoint, made.model_dir, name=f"random-{shape}", on_progress=show)
    if not made.gguf.exists():
        to_gguf(made.checkpoint, made.gguf, name=f"random-{shape}")
    return made


def write_checkpoint(folder: Path, shape: Shape, seed: int = 0) -> None:
    """`model.safetensors` (float16), `config.json` and `tokenizer.json` in a new folder."""
    family, architecture = family_named(shape.family), shape.architecture
    tokenizer = train(_library(), architecture.vocab_size)
    generator = np.random.default_rng(seed)
    tensors = {}
    shapes = architecture.tensor_shapes()
    for name, size in tqdm(shapes.items(), desc="random weights", unit="tensor"):
        array = random_tensor(name, size, architecture, generator)
        if name == "wte.weight":
            array[_unwanted(tokenizer, architecture.vocab_size)] *= UNWANTED
        tensors[name] = array.astype(np.float16)
    with whole_folder(folder) as new:
        published = family.publish(tensors, architecture, split_rows)
        save_file(published, new / "model.safetensors", metadata={"format": "pt"})
        config = {**family.write_config(architecture), "torch_dtype": "float16"}
        (new / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        tokenizer.save(str(new / "tokenizer.json"))


def split_rows(array: np.ndarray, rows: list[int]) -> list[np.ndarray]:
    """Parts with so many rows, for Family.publish."""
    return [np.ascontiguousarray(part) for part in np.split(array, np.cumsum(rows)[:-1])]


def _library() -> Iterator[str]:
    """Python's own modules, which every machine that runs this has."""
    left = MOST_CHARACTERS
    for file in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if {"site-packages", "dist-packages", "test", "tests"} & set(file.parts):
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        left -= len(text)
        if left < 0:
            return
        yield text


def random_tensor(
    name: str,
    shape: tuple[int, ...],
    architecture: Architecture,
    generator: np.random.Generator,
) -> np.ndarray:
    """Layers keep the size of their inputs; norms and biases all matter."""
    if "ln_" in name and name.endswith("weight"):
        return 1 + 0.1 * generator.standard_normal(shape, np.float32)
    if len(shape) == 1:
        return 0.05 * generator.standard_normal(shape, np.float32)
    array = generator.standard_normal(shape, np.float32) / math.sqrt(shape[1])
    if name.endswith("c_attn.weight"):
        values = architecture.qkv_rows[2]
        array[:-values] *= 3  # queries and keys: attention that is spread evenly is always the same
    elif name.endswith("c_proj.weight"):
        # What GELU adds to every input alike would drown the tokens' own part, layer by layer.
        array -= array.mean(axis=1, keepdims=True)
        array *= 0.3
    return array


def _unwanted(tokenizer: Tokenizer, vocab_size: int) -> np.ndarray:
    """Which ids are not a plain word (with or without the space before it): bool [vocab_size]."""
    words = np.zeros(vocab_size, bool)
    for token, number in tokenizer.get_vocab().items():
        word = token.removeprefix("Ġ")  # how a byte-level BPE spells a space
        words[number] = token not in SPECIAL_TOKENS and word.isascii() and word.isalpha()
    return ~words


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shape", choices=SHAPES, default="1.1b")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    made = make(arguments.folder, arguments.shape, arguments.seed)
    for path in (made.model_dir, made.gguf):
        print(path)


if __name__ == "__main__":
    main()
