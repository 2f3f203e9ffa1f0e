"""Several processes compute what one does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from model.train import TrainError
from model.train.distributed import World
from model.train.loop import train
from tests.support.runs import argv, finish, log_of, spawn, trainer, weights

STEPS = ("--max-steps", 6)


@pytest.fixture(scope="module")
def alone(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "alone"
    train(trainer(out, *STEPS, data=packed))
    return out


def assert_close_weights(one: Path, other: Path) -> None:
    for name, tensor in weights(one).items():
        torch.testing.assert_close(weights(other)[name], tensor, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_two_processes_train_as_one_and_one_goes_on_from_two(
    packed: Path, alone: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    finish(spawn(argv(out, "--max-steps", 3, data=packed), processes=2))
    assert [line["step"] for line in log_of(out)] == [1, 2, 3]
    resumed = trainer(out, *STEPS)
    assert resumed.step == 3
    train(resumed)
    assert_close_weights(alone, out)


@pytest.mark.slow
def test_weights_and_optimizer_spread_over_two_processes(
    packed: Path, alone: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    finish(spawn(argv(out, "--max-steps", 3, data=packed, shard=True), processes=2))
    finish(spawn(argv(out, *STEPS), processes=2))
    assert_close_weights(alone, out)


def test_a_batch_that_cannot_be_shared_is_refused(packed: Path, tmp_path: Path) -> None:
    from model.train.__main__ import _parser, start

    options = _parser().parse_args(argv(tmp_path / "run", data=packed))
    with pytest.raises(TrainError, match="batch_size 4 cannot be shared by 3 processes"):
        start(options, World(0, 3, torch.device("cpu")))
