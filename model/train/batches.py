"""Packed rows -> the tensors of a forward pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from model.rows import TokenRows
from model.train.config import TrainConfig
from model.train.distributed import World
from model.train.errors import TrainError
from santa_lsp.families.prompt import FimIds


@dataclass(frozen=True, slots=True)
class Batch:
    """Inputs and targets [B, T], -1 where there is no loss; documents [B, T] if kept apart."""

    inputs: Tensor
    targets: Tensor
    documents: Tensor | None

    @property
    def n_targets(self) -> int:
        return int((self.targets >= 0).sum())


class Batches:
    """A step's rows, shared out among the processes. The step alone decides which rows it has."""

    def __init__(
        self, rows: TokenRows, fim: FimIds, end_of_text: int, config: TrainConfig, world: World
    ) -> None:
        """Raises TrainError for data or processes that do not fit the batch."""
        if len(rows) < config.batch_size:
            raise TrainError(
                f"the data have {len(rows)} rows and a step needs {config.batch_size}: "
                f"add data, or lower it with --set batch_size={len(rows)}"
            )
        if config.batch_size % world.size:
            raise TrainError(
                f"batch_size {config.batch_size} cannot be shared by {world.size} processes"
            )
        self.rows, self.config, self.world = rows, config, world
        self.fim, self.end_of_text = fim, end_of_text
        self.share = config.batch_size // world.size
        self.size = min(config.micro_batch_size or self.share, self.share)

    def of_step(self, step: int) -> list[Batch]:
        """The batches of this process in a step, one for each forward pass."""
        first = step * self.config.batch_size + self.world.rank * self.share
        return list(self.cut(self.rows.batch(first, self.share)))

    def cut(self, rows: Any) -> Iterator[Batch]:
        """Rows [n, T + 1] in batches of one forward pass."""
        for start in range(0, len(rows), self.size):
            yield self.batch(rows[start : start + self.size])

    def batch(self, rows: Any) -> Batch:
        """Rows of ids [B, T + 1]; padding carries no loss."""
        ids = torch.as_tensor(rows, dtype=torch.long).to(self.world.device)
        inputs, targets = ids[:, :-1], ids[:, 1:]
        targets = targets.masked_fill(targets == self.fim.pad, -1)
        if not self.config.document_masks:
            return Batch(inputs, targets, None)
        documents = self._documents(ids)
        targets = targets.masked_fill(documents[:, 1:] != documents[:, :-1], -1)
        return Batch(inputs, targets, documents[:, :-1])

    def _documents(self, ids: Tensor) -> Tensor:
        """[B, T + 1], the number of each token's example: end-of-text ends all but a row's last."""
        ends = ids == self.end_of_text
        return ends.cumsum(dim=1) - ends.long()
