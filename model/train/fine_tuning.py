"""The default configuration of a run that starts from a trained model."""

from __future__ import annotations

import math
from pathlib import Path

from model.gpt import GPT
from model.rows import TokenRows
from model.train.config import TrainConfig
from model.train.distributed import World

#: Parameters above which a row at a time is computed, and its activations twice.
LARGE = 300_000_000


def fine_tuning_config(model: GPT, data: Path, world: World, lora: bool = False) -> TrainConfig:
    """One pass over the packed data, which hold as many passes over the sources as help.

    The learning rate falls with the size: 3e-3 for 2.5M parameters, where Muon was measured to be
    ahead of AdamW, 8e-5 for 1.1B. Adapters take more, and AdamW.
    """
    rows = len(TokenRows(data, 0))
    batch_size = max(1, min(8, rows // world.size)) * world.size
    steps = max(1, rows // batch_size)
    parameters = model.parameter_count()
    large = parameters > LARGE
    rate = 3e-3 * (2.5e6 / parameters) ** 0.6
    return TrainConfig(
        batch_size=batch_size,
        micro_batch_size=1 if large else 0,
        recompute=large,
        optimizer="adamw" if lora else "muon",
        learning_rate=float(f"{5 * rate if lora else rate:.2g}"),
        warmup_steps=max(1, steps // 20),
        decay_share=0.5,
        max_steps=steps,
        weight_decay=0.0 if lora else 0.1,
        document_masks=True,
        lora_rank=16 if lora else 0,
        evaluate_every=max(1, math.ceil(steps / 4)),
    )
