"""The learning rate: warm-up, stable, decay (Hu et al. 2024, arXiv:2404.06395).

While it is stable the rate does not depend on the run's length, so a checkpoint from there can be
trained on for longer, and decayed from any step. The decay is 1 - sqrt, the best of those that
Hägele et al. compared (2024, arXiv:2405.18392).
"""

from __future__ import annotations

import math

from model.train.config import TrainConfig


def decay_start(config: TrainConfig) -> int:
    """The first step whose learning rate may be lower."""
    return max(config.warmup_steps, round(config.max_steps * (1 - config.decay_share)))


def learning_rate(step: int, config: TrainConfig, warm_from: int = 0) -> float:
    """Of a step; the optimizer's state is as old as step `warm_from`."""
    warm = min(1.0, (step - warm_from + 1) / config.warmup_steps)
    start = decay_start(config)
    progress = min(1.0, max(0, step - start) / max(1, config.max_steps - start))
    floor = config.min_learning_rate_ratio
    return config.learning_rate * warm * (floor + (1 - floor) * (1 - math.sqrt(progress)))
