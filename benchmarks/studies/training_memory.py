"""Peak memory of training on this machine, against that of weights, gradients and optimizer.

    python -m benchmarks.studies.training_memory --size 1.1B --lora --length 256

Random weights and tokens; two steps of one row, on the CPU, activations recomputed.
"""

from __future__ import annotations

import argparse
import resource

import torch

from model.gpt import GPT, GPTConfig
from model.train import TrainConfig
from model.train.lora import add_adapters
from model.train.optimizers import make_optimizers

SIZES = {
    "30M": GPTConfig(vocab_size=16384, n_positions=1024, n_embd=512, n_layer=8, n_head=8),
    "124M": GPTConfig(vocab_size=49280, n_positions=2048, n_embd=768, n_layer=12, n_head=12),
    "1.1B": GPTConfig(vocab_size=49280, n_positions=2048, n_embd=2048, n_layer=24, n_head=16),
}
#: Weights, gradients and AdamW's two moments, all float32.
BYTES_OF_TRAINED, BYTES_OF_FROZEN = 16, 4


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--size", choices=SIZES, default="124M")
    parser.add_argument("--length", type=int, default=512, help="tokens of the row")
    parser.add_argument("--lora", action="store_true")
    arguments = parser.parse_args()
    empty = peak_bytes()
    config = SIZES[arguments.size]
    model = GPT(config)
    model.recompute = True
    settings = TrainConfig(lora_rank=16 if arguments.lora else 0)
    if arguments.lora:
        add_adapters(model, settings)
    optimizers = make_optimizers(model, settings)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    frozen = model.parameter_count() - trained
    ids = torch.randint(0, config.vocab_size, (1, arguments.length + 1))
    for _ in range(2):
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(ids[:, :-1], ids[:, 1:])
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
    state = BYTES_OF_TRAINED * trained + BYTES_OF_FROZEN * frozen
    print(
        f"{(trained + frozen) / 1e6:.0f}M parameters, {trained / 1e6:.1f}M trained, "
        f"{arguments.length} tokens: peak {(peak_bytes() - empty) / 1e9:.2f} GB over "
        f"{empty / 1e9:.2f} GB before; weights, gradients and optimizer are {state / 1e9:.2f} GB"
    )


if __name__ == "__main__":
    main()
