from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from model import train
from model.train import TrainConfig, TrainError

ROOT = Path(__file__).parents[2]
CONFIG = """
n_layer = 2
n_head = 2
n_embd = 16
batch_size = 2
accumulation = 2
learning_rate = 1e-2
warmup_steps = 4
max_steps = 24
evaluate_every = 8
validation_rows = 4
"""


def arguments(packed: Path, out: Path, **values: object) -> argparse.Namespace:
    config = out.parent / "config.toml"
    config.write_text(CONFIG)
    defaults = {
        "config": config,
        "resume": False,
        "max_steps": None,
        "max_minutes": None,
        "seed": None,
    }
    return argparse.Namespace(data=packed, out=out, **{**defaults, **values})


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "checkpoint" / "model.safetensors")


@pytest.fixture(scope="module")
def finished(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never stopped."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    train.start(arguments(packed, out)).run(None)
    return out


def log_of(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_the_loss_falls(finished: Path) -> None:
    log = log_of(finished)
    assert [line["step"] for line in log] == list(range(1, 25))
    evaluated = [line["validation"]["python"] for line in log if "validation" in line]
    assert len(evaluated) == 3
    assert evaluated[-1] < evaluated[0] < math.log(600) + 0.2


def test_a_run_leaves_what_one_wants_to_look_at(finished: Path) -> None:
    assert (finished / "loss.svg").read_text().lstrip().startswith("<?xml")
    samples = (finished / "samples.md").read_text()
    assert samples.count("## Step") == 3
    assert "```" in samples
    saved = {file.name for file in (finished / "checkpoint").iterdir()}
    assert saved == {"config.json", "model.safetensors", "state.pt", "tokenizer.json", "train.json"}


@pytest.mark.parametrize("stop_at", [3, 8, 17])
def test_a_resumed_run_is_bit_identical(
    packed: Path, finished: Path, tmp_path: Path, stop_at: int
) -> None:
    out = tmp_path / "run"
    trainer = train.start(arguments(packed, out))
    while trainer.step < stop_at:
        trainer.train_step()
    trainer.save()
    trainer.train_step()  # lost, as when the process is killed
    resumed = train.start(arguments(packed, out, resume=True))
    assert resumed.step == stop_at
    resumed.run(None)
    for name, tensor in weights(finished).items():
        assert torch.equal(tensor, weights(out)[name]), name


def test_ctrl_c_saves_a_checkpoint_first(packed: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    config = tmp_path / "config.toml"
    config.write_text(CONFIG)
    argv = [
        "--config",
        str(config),
        "--data",
        str(packed),
        "--out",
        str(out),
        "--max-steps",
        "100000",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "model.train", *argv], cwd=ROOT, env=environment
    )
    while not (out / "checkpoint").exists():
        assert process.poll() is None
        time.sleep(0.1)
    before = json.loads((out / "log.jsonl").read_text().splitlines()[-1])["step"]
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    state = torch.load(out / "checkpoint" / "state.pt", weights_only=True)
    assert state["step"] == log_of(out)[-1]["step"] >= before


def test_a_checkpoint_of_another_model_is_refused(
    packed: Path, finished: Path, tmp_path: Path
) -> None:
    other = train.Trainer(packed, finished, TrainConfig(n_layer=3, n_head=2, n_embd=16))
    with pytest.raises(TrainError, match="n_layer=2"):
        other.resume()
    with pytest.raises(TrainError, match="no checkpoint"):
        train.start(arguments(packed, tmp_path / "none", resume=True))


def test_a_finished_run_is_not_overwritten_by_accident(packed: Path, finished: Path) -> None:
    with pytest.raises(TrainError, match="--resume"):
        train.start(arguments(packed, finished))


def test_a_loss_that_is_no_number_stops_before_the_weights_change(
    packed: Path, tmp_path: Path
) -> None:
    trainer = train.start(arguments(packed, tmp_path / "run"))
    with torch.no_grad():
        trainer.model.transformer["ln_f"].weight.fill_(math.inf)
    before = trainer.model.get_parameter("transformer.wpe.weight").clone()
    with pytest.raises(TrainError, match="learning_rate"):
        trainer.train_step()
    assert torch.equal(before, trainer.model.get_parameter("transformer.wpe.weight"))
    assert not (tmp_path / "run" / "checkpoint").exists()


def test_accumulation_is_a_larger_batch(packed: Path, tmp_path: Path) -> None:
    results = []
    for batch, accumulation in ((4, 1), (2, 2)):
        config = TrainConfig(
            n_layer=1,
            n_head=2,
            n_embd=16,
            batch_size=batch,
            accumulation=accumulation,
            warmup_steps=1,
        )
        trainer = train.Trainer(packed, tmp_path, config)
        # Full rows: a mean of means is the mean only when no row is padded.
        trainer._tensors = (
            lambda rows: (  # type: ignore[method-assign]
                torch.as_tensor(rows, dtype=torch.long)[:, :-1],
                torch.as_tensor(rows, dtype=torch.long)[:, 1:],
            )
        )
        trainer.train_step()
        results.append(trainer.model.get_parameter("transformer.h.0.mlp.c_fc.weight").detach())
    torch.testing.assert_close(results[0], results[1], rtol=1e-3, atol=1e-4)


def test_padding_carries_no_loss(packed: Path, tmp_path: Path) -> None:
    trainer = train.Trainer(packed, tmp_path, TrainConfig(n_layer=1, n_head=2, n_embd=16))
    inputs, targets = trainer._tensors([[1, 2, trainer.fim.pad, trainer.fim.pad]])
    assert targets.tolist() == [[2, -1, -1]]
    assert inputs.tolist() == [[1, 2, trainer.fim.pad]]


def test_bfloat16_trains_too(packed: Path, tmp_path: Path) -> None:
    config = TrainConfig(n_layer=1, n_head=2, n_embd=16, precision="bfloat16", warmup_steps=1)
    trainer = train.Trainer(packed, tmp_path, config)
    losses = [trainer.train_step() for _ in range(12)]
    assert min(losses[-3:]) < losses[0]
    assert trainer.model.get_parameter("transformer.wpe.weight").dtype == torch.float32


def test_the_learning_rate_warms_up_and_falls_along_a_cosine() -> None:
    config = TrainConfig(
        learning_rate=1.0, warmup_steps=10, max_steps=110, min_learning_rate_ratio=0.1
    )
    rates = [train.learning_rate(step, config) for step in range(120)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rates[10] == 1.0
    assert rates[60] == pytest.approx(0.55)
    assert rates[110:] == pytest.approx([0.1] * 10)
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))


@pytest.mark.parametrize(
    ("text", "words"), [("n_layers = 2", "n_layers"), ("precision = 'float16'", "precision")]
)
def test_a_bad_config_is_named(packed: Path, tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(TrainError, match=words):
        train.start(arguments(packed, tmp_path / "run", config=file))


def test_the_command_explains_its_errors(tmp_path: Path) -> None:
    argv = [
        sys.executable,
        "-m",
        "model.train",
        "--data",
        str(tmp_path),
        "--out",
        str(tmp_path / "o"),
    ]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
