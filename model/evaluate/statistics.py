"""Estimates with their uncertainty: intervals, paired tests, pass@k. All are seeded; of values in
[0, 1] all are in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from model.evaluate.task import Record, Row

RESAMPLES = 10_000


def wilson_interval(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """95 % confidence interval of a proportion (Wilson 1927)."""
    if trials == 0:
        return 0.0, 1.0
    share = successes / trials
    centre = share + z * z / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """Chance that one of k samples, drawn without replacement, is among those that passed.

    1 - C(samples - passed, k) / C(samples, k), the unbiased estimator of Chen et al. 2021
    (arXiv:2107.03374). ValueError when there are fewer samples than k.
    """
    if not 0 < k <= samples or not 0 <= passed <= samples:
        raise ValueError(f"pass@{k} cannot be told from {passed} of {samples} samples")
    return 1 - math.comb(samples - passed, k) / math.comb(samples, k)


def bootstrap_means(values: Sequence[float], seed: int) -> np.ndarray:
    """Means of `RESAMPLES` resamples, shape (RESAMPLES,)."""
    array = np.asarray(values, dtype=np.float64)
    random = np.random.default_rng(seed)
    chunks = [
        array[random.integers(0, len(array), (min(500, RESAMPLES - done), len(array)))].mean(1)
        for done in range(0, RESAMPLES, 500)
    ]
    return np.concatenate(chunks)


def bootstrap_interval(values: Sequence[float], seed: int) -> tuple[float, float]:
    """95 % percentile interval of the mean (Efron 1979)."""
    if len(set(values)) < 2:
        return (values[0], values[0]) if values else (0.0, 1.0)
    low, high = np.quantile(bootstrap_means(values, seed), (0.025, 0.975))
    return float(low), float(high)


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p-value of McNemar's test, from the questions only one of two gets right."""
    discordant = only_first + only_second
    tail = sum(math.comb(discordant, k) for k in range(min(only_first, only_second) + 1))
    return min(1.0, 2 * tail / (1 << discordant))


def paired_bootstrap(differences: Sequence[float], seed: int) -> float:
    """Two-sided p-value of a mean difference being 0, from resampled pairs (Efron 1979)."""
    if not any(differences):
        return 1.0
    means = bootstrap_means(differences, seed)
    tail = min(int((means <= 0).sum()), int((means >= 0).sum()))
    return min(1.0, 2 * (tail + 1) / (len(means) + 1))


def mean_interval(values: Sequence[float], seed: int) -> tuple[float, float]:
    """Wilson's interval when all values are 0 or 1, else the bootstrap's."""
    if set(values) <= {0.0, 1.0}:
        return wilson_interval(round(sum(values)), len(values))
    return bootstrap_interval(values, seed)


def mean_rows(
    records: Sequence[Record], seed: int, published: dict[tuple[str, str], float] | None = None
) -> list[Row]:
    """The mean of every score of every group; `published` is by group and metric."""
    values: dict[tuple[str, str], list[float]] = {}
    for record in records:
        for metric, score in record.scores.items():
            values.setdefault((record.group, metric), []).append(float(score))
    return [
        Row(
            group,
            metric,
            sum(found) / len(found),
            *mean_interval(found, seed),
            len(found),
            published=(published or {}).get((group, metric)),
        )
        for (group, metric), found in sorted(values.items(), key=lambda item: item[0][0])
    ]
