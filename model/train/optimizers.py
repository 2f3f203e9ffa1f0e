"""AdamW, and Muon for the matrices between embedding and head.

Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon) gives each update matrix singular
values near 1. Scaled as Liu et al. do (2025, arXiv:2502.16982 §2.2) its updates are as large as
AdamW's, so both share one learning rate and weight decay. torch.optim.Muon always orthogonalizes
in bfloat16, which most CPUs emulate; here it is float32 on a CPU.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from model.train.config import TrainConfig

_MOMENTUM = 0.95
#: Newton-Schulz coefficients with the steepest start, from the post.
_A, _B, _C = 3.4445, -4.7750, 2.0315


def orthogonalized(matrix: Tensor, steps: int = 5) -> Tensor:
    """About U V^T of a matrix U S V^T: singular values between 0.7 and 1.2."""
    x: Tensor = matrix if matrix.device.type == "cpu" else matrix.bfloat16()
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    return (x.T if tall else x).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Orthogonalized momentum (Nesterov's) with decoupled weight decay, for matrices."""

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """A closure is torch's convention and not supported."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum = state["momentum"].lerp_(parameter.grad, 1 - _MOMENTUM)
                update = orthogonalized(parameter.grad.lerp(momentum, _MOMENTUM))
                scale = 0.2 * math.sqrt(max(parameter.shape))
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update, alpha=-group["lr"] * scale)


def make_optimizers(model: nn.Module, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """For the parameters that are trained; vectors have no weight decay, adapters never Muon."""
    hidden: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            by_muon = config.optimizer == "muon" and _is_hidden(name, parameter)
            (hidden if by_muon else others).append(parameter)
    adamw = torch.optim.AdamW(
        [
            {"params": [p for p in others if p.dim() >= 2], "weight_decay": config.weight_decay},
            {"params": [p for p in others if p.dim() < 2], "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        fused=True,
    )
    if not hidden:
        return [adamw]
    return [Muon(hidden, config.learning_rate, config.weight_decay), adamw]


def _is_hidden(name: str, parameter: Tensor) -> bool:
    """Whether it is a matrix between embedding and head, and no adapter's."""
    return name.startswith("h.") and ".lora_" not in name and parameter.dim() == 2
