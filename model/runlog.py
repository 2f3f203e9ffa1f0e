"""The logs of a run: log.jsonl and TensorBoard's events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from santa_lsp.models.files import write_whole

Line = dict[str, Any]


def read_log(run: Path) -> list[Line]:
    """A line for each step of the run's log.jsonl; [] when there is none."""
    path = run / "log.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class RunLog:
    """Appends to a run's logs, from `step` on; later lines of an earlier process are removed."""

    def __init__(self, run: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter  # slow to import

        kept = [line for line in read_log(run) if line["step"] <= step]
        self.path = run / "log.jsonl"
        write_whole(self.path, "".join(json.dumps(line) + "\n" for line in kept))
        self.events = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1)

    def write(self, line: Line) -> None:
        """Numbers become TensorBoard's scalars; those of a dictionary share a chart."""
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        step = line["step"]
        for name, value in line.items():
            if isinstance(value, dict):
                for key, each in value.items():
                    self.events.add_scalar(f"{name}/{key}", each, step)
            elif name != "step":
                self.events.add_scalar(name, value, step)

    def close(self) -> None:
        self.events.close()
