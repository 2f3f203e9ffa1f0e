"""The learning rate's schedule, and Muon."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch

from model.train import TrainConfig, Trainer
from model.train.optimizers import Muon, orthogonalized
from model.train.schedule import decay_start, learning_rate


def test_the_learning_rate_warms_up_stays_and_decays() -> None:
    config = TrainConfig(learning_rate=1.0, warmup_steps=10, max_steps=100, decay_share=0.25)
    rates = [learning_rate(step, config) for step in range(110)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rates[10:76] == [1.0] * 66
    assert decay_start(config) == 75
    assert rates[99] < 0.05
    assert rates[100:] == [0.0] * 10
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))


def test_a_longer_run_is_the_same_until_the_shorter_one_decays() -> None:
    short, long = TrainConfig(max_steps=1000), TrainConfig(max_steps=2000)
    for step in range(decay_start(short) + 1):
        assert learning_rate(step, short) == learning_rate(step, long)


@pytest.mark.parametrize("shape", [(24, 24), (16, 64), (64, 16)])
def test_orthogonalized_matrices_have_singular_values_near_one(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    values = torch.linalg.svdvals(orthogonalized(matrix))
    assert 0.6 < values.min() < values.max() < 1.3
    assert (
        torch.nn.functional.cosine_similarity(
            orthogonalized(matrix).flatten(), (left @ right).flatten(), dim=0
        )
        > 0.95
    )


def test_muon_computes_what_torchs_does() -> None:
    torch.manual_seed(0)
    start, gradients = torch.randn(16, 40), [torch.randn(16, 40) for _ in range(4)]
    theirs, ours = (torch.nn.Parameter(start.clone()) for _ in range(2))
    reference = torch.optim.Muon(
        [theirs], lr=0.02, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )
    muon = Muon([ours], lr=0.02, weight_decay=0.1)
    for gradient in gradients:
        for parameter, optimizer in ((theirs, reference), (ours, muon)):
            parameter.grad = gradient.clone()
            optimizer.step()
    torch.testing.assert_close(ours, theirs, rtol=0.02, atol=0.01)  # theirs is in bfloat16


def test_muon_has_the_matrices_between_embedding_and_head(packed: Path, tmp_path: Path) -> None:
    run = Trainer(packed, tmp_path, TrainConfig(n_layer=2, n_head=2, n_embd=16, optimizer="muon"))
    muon, adamw = run.optimizers
    assert isinstance(muon, Muon)
    assert sum(len(group["params"]) for group in muon.param_groups) == 2 * 4
    shared = {id(run.model.get_parameter(f"{name}.weight")) for name in ("wte", "wpe")}
    assert shared <= {id(p) for group in adamw.param_groups for p in group["params"]}
    losses = [run.train_step()[0] for _ in range(15)]
    assert losses[-1] < losses[0]
