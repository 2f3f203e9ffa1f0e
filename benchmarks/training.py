"""Training speed on this machine: tokens/s, and the share of a matrix product's speed.

    python -m benchmarks.training --sizes 6M 30M

Random weights and tokens; a step is forward, backward and the optimizer, on 8 rows of 512 tokens.
"""

from __future__ import annotations

import argparse
import itertools
import time

import torch
from tqdm import tqdm

from model.train import TrainConfig
from model.train.optimizers import make_optimizers
from model.train.speed import flops_per_token, peak_flops
from model.transformer import ModelConfig, Transformer

SIZES = {
    "2.5M": ModelConfig.santacoder(4096, 512, n_embd=192, n_layer=4, n_head=3),
    "6M": ModelConfig.santacoder(4096, 512, n_embd=256, n_layer=8, n_head=4),
    "30M": ModelConfig.santacoder(16384, 512, n_embd=512, n_layer=8, n_head=8),
}
ROWS, LENGTH = 8, 512


def seconds_of_step(
    config: ModelConfig,
    precision: torch.dtype,
    compiled: bool,
    optimizer: str,
    masks: bool,
    least: float,
) -> float:
    """The best of the steps that `least` seconds have room for, after one to warm up."""
    model = Transformer(config)
    if compiled:
        for block in model.h:
            block.compile()
    optimizers = make_optimizers(model, TrainConfig(optimizer=optimizer))
    ids = torch.randint(0, config.architecture.vocab_size, (ROWS, LENGTH + 1))
    documents = (torch.arange(LENGTH) // 100).expand(ROWS, LENGTH) if masks else None
    times: list[float] = []
    while len(times) < 3 or sum(times[1:]) < least:
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
            loss = model(ids[:, :-1], ids[:, 1:], documents=documents)
        loss.backward()
        for each in optimizers:
            each.step()
            each.zero_grad()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["6M", "30M"])
    parser.add_argument("--compile", nargs="+", choices=("no", "yes"), default=["no"])
    parser.add_argument("--optimizers", nargs="+", choices=("adamw", "muon"), default=["adamw"])
    parser.add_argument("--masks", nargs="+", choices=("no", "yes"), default=["no"])
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    arguments = parser.parse_args()
    cpu = torch.device("cpu")
    rows = []
    cases = list(
        itertools.product(
            arguments.sizes,
            (torch.float32, torch.bfloat16),
            arguments.compile,
            arguments.optimizers,
            arguments.masks,
        )
    )
    for size, precision, compiled, optimizer, masks in tqdm(cases, unit="case"):
        config = SIZES[size]
        seconds = seconds_of_step(
            config, precision, compiled == "yes", optimizer, masks == "yes", arguments.seconds
        )
        tokens = ROWS * LENGTH / seconds
        share = tokens * flops_per_token(config.architecture, LENGTH) / peak_flops(cpu, precision)
        name = str(precision).removeprefix("torch.")
        rows.append((size, name, compiled, optimizer, masks, f"{tokens:.0f}", f"{share:.0%}"))
    print(f"{torch.get_num_threads()} threads")
    for precision in (torch.float32, torch.bfloat16):
        print(f"matrix product in {precision}: {peak_flops(cpu, precision) / 1e9:.0f} GFLOP/s")
    header = ("size", "precision", "compiled", "optimizer", "masks", "tokens/s", "of that")
    for row in (header, *rows):
        print("  ".join(f"{cell:<9}" for cell in row))


if __name__ == "__main__":
    main()
