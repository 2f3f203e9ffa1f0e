"""One process or many: torchrun's environment, gradients shared, sums over all of them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel

from model.train.errors import TrainError
from model.transformer import Transformer


@dataclass(frozen=True, slots=True)
class World:
    """This process among all. One process needs no set-up: World()."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device(_device_type()))

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files and speaks to the user."""
        return self.rank == 0

    def sum(self, *values: float) -> list[float]:
        """Each value summed over all processes, in float64."""
        if self.size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return total.tolist()

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            dist.barrier()


def join_world() -> World:
    """The processes that torchrun started, NCCL between GPUs and Gloo between CPUs; or this one."""
    if "RANK" not in os.environ:
        return World()
    cuda = _device_type() == "cuda"
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if cuda else "gloo")
    return World(dist.get_rank(), dist.get_world_size(), device)


def leave_world() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def spread(model: Transformer, world: World, shard: bool) -> nn.Module:
    """The module to call in each process; gradients are averaged over all of them.

    Raises TrainError.
    """
    if shard and not dist.is_initialized():
        raise TrainError("shard = true needs processes to share: start it with torchrun")
    if shard:
        mesh = init_device_mesh(world.device.type, (world.size,))
        for block in model.h:
            fully_shard(block, mesh=mesh)
        fully_shard(model, mesh=mesh)
        return model
    if world.size > 1:
        return DistributedDataParallel(model)
    return model


def share_gradients(module: nn.Module, wanted: bool) -> None:
    """Whether the next backward pass sends its gradients; the last of a step does."""
    if isinstance(module, FSDPModule):
        module.set_requires_gradient_sync(wanted)
    elif isinstance(module, DistributedDataParallel):
        module.require_backward_grad_sync = wanted


def _device_type() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
