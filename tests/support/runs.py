"""Small training runs, in this process and in others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from model.train import Trainer
from model.train.__main__ import _parser, start

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "n_layer": 2,
    "n_head": 2,
    "n_embd": 16,
    "batch_size": 4,
    "micro_batch_size": 2,
    "learning_rate": 1e-2,
    "warmup_steps": 4,
    "max_steps": 24,
    "evaluate_every": 8,
    "validation_rows": 4,
    "precision": "float32",  # the same on every processor
}


def argv(out: Path, *more: object, data: Path | None = None, **values: object) -> list[str]:
    """A command line: a new run on `data`, or more of the run in `out`."""
    settings = {**SETTINGS, **values} if data else values
    assignments = [f"{name}={json.dumps(value)}" for name, value in settings.items()]
    words: list[object] = ["--out", out, *(["--data", data] if data else ["--resume"]), *more]
    words += ["--set", *assignments] if assignments else []
    return [str(word) for word in words]


def trainer(out: Path, *more: object, data: Path | None = None, **values: object) -> Trainer:
    """A run that is ready to go, in this process."""
    return start(_parser().parse_args(argv(out, *more, data=data, **values)))


def spawn(words: list[str], processes: int = 1, **options: Any) -> subprocess.Popen[str]:
    """`python -m model.train`, under torchrun for several processes."""
    command = [sys.executable, "-m"]
    if processes > 1:
        command += ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        command += ["-m"]
    return subprocess.Popen(
        [*command, "model.train", *words],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def finish(process: subprocess.Popen[str], status: int = 0) -> str:
    """What the process said on stderr, and that it ended with this status."""
    _, errors = process.communicate(timeout=300)
    assert process.returncode == status, errors
    return errors


def weights(out: Path, name: str = "checkpoint") -> dict[str, torch.Tensor]:
    return load_file(out / name / "model.safetensors")


def log_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
