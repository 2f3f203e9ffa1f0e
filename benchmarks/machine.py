"""The bounds of a completion on this machine: memory bandwidth and int8 products.

    python -m benchmarks.machine [--threads 2]

Every generated token reads all weights once, so a model decodes at most bandwidth / bytes tokens a
second. A prompt's tokens share that reading and are bound by arithmetic: two operations for each
weight and token. Prints both measures, and the bounds that follow for the shapes of
benchmarks.random_model.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable

import torch

from benchmarks.random_model import SHAPES

BYTES = 1 << 30  # larger than any cache
ROWS, WIDTH, COLUMNS = 1024, 2048, 8192  # a prompt in SantaCoder's largest matrix
RUNS = 5


def seconds(work: Callable[[], object]) -> float:
    """The median of some runs, after one that is not counted."""
    work()
    took = []
    for _ in range(RUNS):
        started = time.perf_counter()
        work()
        took.append(time.perf_counter() - started)
    return statistics.median(took)


def read_bandwidth() -> float:
    """Bytes a second that all threads together read from memory."""
    values = torch.ones(BYTES // 4)
    return BYTES / seconds(values.sum)


def int8_operations() -> float:
    """Multiplications and additions of int8 a second, in PyTorch's (oneDNN's) matrix product."""
    left = torch.ones(ROWS, WIDTH, dtype=torch.int8)
    right = torch.ones(WIDTH, COLUMNS, dtype=torch.int8)
    return 2 * ROWS * WIDTH * COLUMNS / seconds(lambda: torch._int_mm(left, right))


def weights(shape: str) -> int:
    """Weights that a token passes through: all but the positions."""
    sizes = SHAPES[shape].architecture.tensor_shapes().items()
    return sum(math.prod(size) for name, size in sizes if not name.startswith("wpe"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    bandwidth, operations = read_bandwidth(), int8_operations()
    bounds = {
        shape: {
            "int8_mb": round(weights(shape) / 1e6, 1),
            "most_decode_tokens_per_second": round(bandwidth / weights(shape), 1),
            "most_prefill_tokens_per_second": round(operations / 2 / weights(shape)),
        }
        for shape in SHAPES
    }
    measured = {
        "threads": arguments.threads,
        "read_gb_per_second": round(bandwidth / 1e9, 1),
        "int8_gops": round(operations / 1e9),
    }
    print(json.dumps({**measured, **bounds}, indent=1))


if __name__ == "__main__":
    main()
