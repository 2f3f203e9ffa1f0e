"""Train a SantaCoder-family model on packed data.

    python -m model.train --config model/configs/santa-mini.toml --data DATA --out runs/santa-mini
    python -m model.train --data DATA --out runs/santa-mini --resume

RUN holds `checkpoint/` (weights, config.json, tokenizer.json, training state), `log.jsonl`,
`loss.svg`, and `samples.md` (completions of held-out text at each evaluation). A run stopped
anywhere goes on with `--resume` from its last checkpoint to the same weights, bit by bit on one
CPU: row order depends on seed and step alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import shutil
import signal
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from model.data import DataError, TokenRows
from model.gpt import GPT, GPTConfig
from model.tokenizer import load as load_tokenizer
from santa_lsp.prompt import END_OF_TEXT, find_dialect


class TrainError(Exception):
    """Training cannot start or go on; says what to do."""


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Everything that decides a run's result, saved with each checkpoint."""

    n_layer: int = 4
    n_head: int = 3
    n_embd: int = 192
    batch_size: int = 8  # rows of one forward pass
    accumulation: int = 1  # forward passes of one optimizer step
    learning_rate: float = 3e-3
    min_learning_rate_ratio: float = 0.1
    warmup_steps: int = 100
    max_steps: int = 5000
    weight_decay: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.95
    clip: float = 1.0
    precision: str = "auto"  # auto | float32 | bfloat16
    seed: int = 0
    evaluate_every: int = 500
    validation_rows: int = 48  # of each language

    @classmethod
    def from_toml(cls, path: Path) -> TrainConfig:
        """Raises TrainError for an unknown name."""
        values = tomllib.loads(path.read_text())
        unknown = values.keys() - cls.__dataclass_fields__.keys()
        if unknown:
            known = ", ".join(cls.__dataclass_fields__)
            raise TrainError(f"{path}: unknown {', '.join(sorted(unknown))}; known are {known}")
        return cls(**values)


def learning_rate(step: int, config: TrainConfig) -> float:
    """Linear warm-up, then a cosine down to `min_learning_rate_ratio` at `max_steps`."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    length = max(1, config.max_steps - config.warmup_steps)
    progress = min(1.0, (step - config.warmup_steps) / length)
    floor = config.min_learning_rate_ratio
    return config.learning_rate * (floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2)


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware computes in it, else float32; never float16 (NaN losses)."""
    if name == "auto":
        name = "bfloat16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "float32"
    if name not in ("float32", "bfloat16"):
        raise TrainError(f"precision must be auto, float32 or bfloat16, not {name!r}")
    return torch.float32 if name == "float32" else torch.bfloat16


class Trainer:
    """One run: model, optimizer, data, and where they are written."""

    def __init__(self, data: Path, out: Path, config: TrainConfig) -> None:
        self.config, self.out = config, out
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.dtype = choose_precision(config.precision, self.device)
        self.rows = TokenRows(data, config.seed)
        self.data = data
        self.tokenizer = load_tokenizer(data / "tokenizer.json")
        found = find_dialect(self.tokenizer.token_to_id)
        if found is None:
            raise TrainError(f"{data / 'tokenizer.json'} has no fill-in-the-middle tokens")
        self.fim = found[1]
        torch.manual_seed(config.seed)
        self.model = GPT(
            GPTConfig(
                vocab_size=self.tokenizer.get_vocab_size(),
                n_positions=self.rows.description["n_positions"],
                n_embd=config.n_embd,
                n_layer=config.n_layer,
                n_head=config.n_head,
                eos_token_id=self.tokenizer.token_to_id(END_OF_TEXT),
            )
        ).to(self.device)
        self.optimizer = self._make_optimizer()
        self.step = 0
        self.seconds = 0.0

    def _make_optimizer(self) -> torch.optim.Optimizer:
        parameters = list(self.model.parameters())
        groups = [
            {"params": [p for p in parameters if p.dim() >= 2]},
            {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(
            groups,
            lr=self.config.learning_rate,
            betas=(self.config.beta1, self.config.beta2),
            weight_decay=self.config.weight_decay,
            fused=True,
        )

    # One optimizer step.

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and targets [batch_size, n_positions] of this step; padding carries no loss."""
        size = self.config.batch_size
        first = self.step * size * self.config.accumulation
        for index in range(self.config.accumulation):
            yield self._tensors(self.rows.batch(first + index * size, size))

    def _tensors(self, rows: object) -> tuple[Tensor, Tensor]:
        ids = torch.as_tensor(rows, dtype=torch.long).to(self.device)
        targets = ids[:, 1:]
        return ids[:, :-1], targets.masked_fill(targets == self.fim.pad, -1)

    def _loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        with torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16
        ):
            return self.model(inputs, targets)

    def train_step(self) -> float:
        """The step's mean loss in nats per token. Raises TrainError when it is not finite."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.config)
        total = 0.0
        for inputs, targets in self._batches():
            loss = self._loss(inputs, targets) / self.config.accumulation
            loss.backward()
            total += loss.item()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        if not math.isfinite(total) or not torch.isfinite(norm):
            raise TrainError(
                f"loss {total} at step {self.step}; nothing was saved since the last checkpoint. "
                "Resume it with a lower learning_rate"
            )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return total

    # Evaluation.

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Mean loss of the held-out rows by language, nats per token."""
        self.model.eval()
        losses = {}
        for language, rows in self.rows.validation(self.config.validation_rows).items():
            total, count = 0.0, 0
            for start in range(0, len(rows), self.config.batch_size):
                inputs, targets = self._tensors(rows[start : start + self.config.batch_size])
                tokens = int((targets >= 0).sum())
                total += self._loss(inputs, targets).item() * tokens
                count += tokens
            losses[language] = total / max(1, count)
        self.model.train()
        return losses

    def write_samples(self, losses: dict[str, float], most: int = 2) -> None:
        """Append greedy completions of held-out text to samples.md, beside what was there."""
        lines = [f"\n## Step {self.step}, validation loss {json.dumps(losses)}\n"]
        for language, rows in self.rows.validation(self.config.validation_rows).items():
            shown = 0
            for row in rows.tolist():
                middle = row.index(self.fim.middle) if self.fim.middle in row else len(row)
                if row[0] != self.fim.prefix or row[1] == self.fim.suffix or middle > len(row) - 8:
                    continue  # only PSM examples show where their middle starts
                wanted = self.tokenizer.decode(
                    _until(row[middle + 1 :], self.model.config.eos_token_id)
                )
                got = self.tokenizer.decode(self.model.generate(row[: middle + 1], 32))
                before = self.tokenizer.decode(row[1 : row.index(self.fim.suffix)])[-200:]
                lines.append(f"{language}, after:\n```\n{before}\n```\ncame\n```\n{got}\n```\n")
                lines.append(f"was\n```\n{wanted[:200]}\n```\n")
                shown += 1
                if shown == most:
                    break
        with (self.out / "samples.md").open("a") as file:
            file.write("\n".join(lines))

    # Checkpoints.

    def save(self) -> None:
        """Write a checkpoint; the old one is replaced only when the new one is complete."""
        new, old = self.out / "checkpoint.new", self.out / "checkpoint"
        shutil.rmtree(new, ignore_errors=True)
        self.model.save(new)
        shutil.copyfile(self.data / "tokenizer.json", new / "tokenizer.json")
        (new / "train.json").write_text(
            json.dumps({"train": dataclasses.asdict(self.config), "data": self.rows.description})
        )
        state = {
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "rng": torch.get_rng_state(),
        }
        torch.save(state, new / "state.pt")
        trash = self.out / "checkpoint.old"
        if old.exists():
            os.replace(old, trash)
        os.replace(new, old)
        shutil.rmtree(trash, ignore_errors=True)

    def resume(self) -> None:
        """Continue from the run's checkpoint. Raises TrainError when it is not of this model."""
        checkpoint = self.out / "checkpoint"
        if not checkpoint.is_dir():
            raise TrainError(f"{self.out} has no checkpoint to resume; start it without --resume")
        loaded = GPT.load(checkpoint)
        if loaded.config != self.model.config:
            raise TrainError(f"{checkpoint} holds {loaded.config}, this run is {self.model.config}")
        self.model.load_state_dict(loaded.state_dict())
        state = torch.load(checkpoint / "state.pt", map_location=self.device, weights_only=True)
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]
        torch.set_rng_state(state["rng"].cpu())
        # What was logged after the checkpoint will be logged again.
        log = self.out / "log.jsonl"
        kept = [line for line in _read_log(log) if line["step"] <= self.step]
        log.write_text("".join(json.dumps(line) + "\n" for line in kept))

    # The loop.

    def run(self, max_minutes: float | None) -> None:
        """Train to max_steps, or for `max_minutes`; evaluates, logs and saves on the way."""
        tokens_of_step = (
            self.config.batch_size * self.config.accumulation * self.model.config.n_positions
        )
        stop = _StopOnSignal()
        started = time.monotonic()
        last_line = time.monotonic()
        with tqdm(total=self.config.max_steps, initial=self.step, unit="step") as bar:
            while self.step < self.config.max_steps:
                step_started = time.monotonic()
                loss = self.train_step()
                self.seconds += time.monotonic() - step_started
                line: dict[str, object] = {
                    "step": self.step,
                    "tokens": self.step * tokens_of_step,
                    "loss": round(loss, 4),
                    "learning_rate": learning_rate(self.step - 1, self.config),
                    "tokens_per_second": round(tokens_of_step / (time.monotonic() - last_line)),
                    "seconds": round(self.seconds, 1),
                }
                last_line = time.monotonic()
                bar.set_postfix_str(f"loss {loss:.3f}, {line['tokens_per_second']} tokens/s")
                bar.update()
                timed_out = max_minutes is not None and (
                    time.monotonic() - started > 60 * max_minutes
                )
                last = self.step == self.config.max_steps or timed_out or stop.wanted
                if self.step % self.config.evaluate_every == 0 or last:
                    losses = self.validate()
                    line["validation"] = {k: round(v, 4) for k, v in losses.items()}
                    self.write_samples(losses)
                _append(self.out / "log.jsonl", line)
                if "validation" in line:
                    self.save()
                    plot(self.out)
                    bar.write(f"step {self.step}: validation {line['validation']}")
                if last:
                    break


class _StopOnSignal:
    """Ctrl-C or SIGTERM asks for a checkpoint after the current step instead of losing it."""

    def __init__(self) -> None:
        self.wanted = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: object) -> None:
        self.wanted = True


def _until(ids: list[int], end: int) -> list[int]:
    return ids[: ids.index(end)] if end in ids else ids


def _read_log(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _append(path: Path, line: dict[str, object]) -> None:
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


def plot(out: Path) -> None:
    """Draw `loss.svg` from `log.jsonl`: training loss over 50 steps, validation by language."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    log = _read_log(out / "log.jsonl")
    figure, axes = plt.subplots(figsize=(8, 4.5))
    millions = [line["tokens"] / 1e6 for line in log]  # type: ignore[operator]
    losses = [line["loss"] for line in log]
    smooth = [sum(losses[max(0, i - 49) : i + 1]) / min(50, i + 1) for i in range(len(losses))]  # type: ignore[arg-type, misc]
    axes.plot(millions, smooth, label="training", color="0.6")
    evaluated = [line for line in log if "validation" in line]
    for language in evaluated[0]["validation"] if evaluated else ():  # type: ignore[attr-defined]
        axes.plot(
            [line["tokens"] / 1e6 for line in evaluated],  # type: ignore[operator]
            [line["validation"][language] for line in evaluated],  # type: ignore[index]
            marker=".",
            label=f"validation, {language}",
        )
    axes.set(xlabel="million tokens", ylabel="loss, nats per token")
    axes.legend()
    figure.savefig(out / "loss.svg", bbox_inches="tight")
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="a folder written by model.data")
    parser.add_argument("--out", type=Path, required=True, help="the run's folder")
    parser.add_argument("--config", type=Path, help="a TOML file of model/configs")
    parser.add_argument("--resume", action="store_true", help="go on from the run's checkpoint")
    parser.add_argument("--max-steps", type=int)
    parser.add_argument("--max-minutes", type=float)
    parser.add_argument("--seed", type=int)
    arguments = parser.parse_args()
    try:
        trainer = start(arguments)
        trainer.run(arguments.max_minutes)
    except (TrainError, DataError) as error:
        sys.exit(f"error: {error}")


def start(arguments: argparse.Namespace) -> Trainer:
    """A new run, or the one in `--out`, with the command line's overrides."""
    checkpoint = arguments.out / "checkpoint"
    if arguments.resume and (checkpoint / "train.json").is_file():
        config = TrainConfig(**json.loads((checkpoint / "train.json").read_text())["train"])
    elif arguments.config:
        config = TrainConfig.from_toml(arguments.config)
    else:
        config = TrainConfig()
    overrides = {"max_steps": arguments.max_steps, "seed": arguments.seed}
    config = dataclasses.replace(config, **{k: v for k, v in overrides.items() if v is not None})
    if not arguments.resume and checkpoint.exists():
        raise TrainError(
            f"{arguments.out} already holds a run; add --resume or choose another --out"
        )
    arguments.out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(arguments.data, arguments.out, config)
    if arguments.resume:
        trainer.resume()
    print(
        f"{trainer.model.parameter_count() / 1e6:.1f}M parameters on {trainer.device}, "
        f"{str(trainer.dtype).removeprefix('torch.')}, {len(trainer.rows)} rows of "
        f"{trainer.model.config.n_positions} tokens"
    )
    return trainer


if __name__ == "__main__":
    main()
