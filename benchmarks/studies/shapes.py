"""How long a completion takes at the shapes that the embedded model might have.

    python -m benchmarks.studies.shapes FOLDER [--threads 1 2]

int8 models with random weights, through the engine alone: a prompt of 500 tokens, all of it new
(cold) or all but the last few prepared (warm), 16 tokens generated; medians of 5, milliseconds.
FOLDER keeps the models.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.random_model import santacoder, write_checkpoint
from benchmarks.warm_keystroke import measure
from santa_lsp import models
from santa_lsp.convert import convert
from santa_lsp.engines.ctranslate2 import CTranslate2Engine

PROMPT, NEW = 500, 16
#: n_layer, n_embd, n_head, vocab_size; heads of 64.
SHAPES = (
    (4, 192, 3, 8192),
    (4, 256, 4, 8192),
    (8, 256, 4, 8192),
    (6, 384, 6, 8192),
    (8, 512, 8, 16384),
    (12, 512, 8, 16384),
    (12, 512, 8, 32768),
    (24, 384, 6, 16384),
    (6, 768, 12, 16384),
    (12, 768, 12, 16384),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    print("| n_layer × n_embd | vocabulary | parameters | int8 MB | threads | cold | warm |")
    print("|---|---|---|---|---|---|---|")
    for n_layer, n_embd, n_head, vocab_size in SHAPES:
        shape = santacoder(vocab_size, 1024, n_embd, n_layer, n_head)
        folder = arguments.folder / f"{n_layer}x{n_embd}-{vocab_size}"
        if not (folder / "model").exists():
            write_checkpoint(folder / "checkpoint", shape)
            convert(folder / "checkpoint", folder / "model", name=folder.name)
        model = models.open_model(folder / "model")
        for threads in arguments.threads:
            found = measure(CTranslate2Engine(model, "cpu", threads=threads), PROMPT, NEW)
            cells = (
                f"{n_layer} × {n_embd}",
                vocab_size,
                f"{shape.architecture.parameters / 1e6:.1f}M",
                f"{model.size / 1e6:.0f}",
                threads,
                f"{found['cold'][1]:.0f}",
                f"{found['warm'][1]:.0f}",
            )
            print("|", " | ".join(map(str, cells)), "|", flush=True)


if __name__ == "__main__":
    main()
