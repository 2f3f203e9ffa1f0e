"""The training loop: one for pre-training and fine-tuning, one process and many."""

from __future__ import annotations

import dataclasses
import math
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from model.packing import special_ids
from model.plot import plot
from model.rows import DataError, TokenRows
from model.runlog import Line, RunLog
from model.tokenizer import load as load_tokenizer
from model.train.batches import Batch, Batches
from model.train.checkpoints import (
    Progress,
    load_optimizers,
    read_progress,
    save_checkpoint,
)
from model.train.config import TrainConfig
from model.train.distributed import World, share_gradients, spread
from model.train.errors import TrainError
from model.train.lora import add_adapters, load_adapters
from model.train.optimizers import make_optimizers
from model.train.samples import title_of, write_samples
from model.train.schedule import decay_start, learning_rate
from model.train.speed import choose_precision, flops_per_token, peak_flops, worth_compiling
from model.transformer import ModelConfig, Transformer

#: In a run's folder: what its checkpoints take over from the initial model.
FROM_INITIAL = "from"


class Trainer:
    """One run: model, optimizers, data, and where they are written."""

    def __init__(
        self,
        data: Path,
        out: Path,
        config: TrainConfig,
        *,
        initial: Transformer | None = None,
        world: World | None = None,
    ) -> None:
        """Starts from `initial`'s weights, or random ones. Raises TrainError and DataError."""
        self.config, self.out, self.world = config, out, world or World()
        self.rows = TokenRows(data, config.seed)
        self.length: int = self.rows.description["n_positions"]
        self.tokenizer_path = data / "tokenizer.json"
        self.tokenizer = load_tokenizer(self.tokenizer_path)
        try:
            self.form, end_of_text = special_ids(self.tokenizer)
        except DataError as error:
            raise TrainError(f"{self.tokenizer_path}: {error}") from error
        self.batches = Batches(self.rows, self.form.pad, end_of_text, config, self.world)
        torch.manual_seed(config.seed)
        self.model = initial or Transformer(
            ModelConfig.santacoder(
                vocab_size=self.tokenizer.get_vocab_size(),
                n_positions=self.length,
                n_embd=config.n_embd,
                n_layer=config.n_layer,
                n_head=config.n_head,
            )
        )
        sizes = self.model.config.architecture
        if self.length > sizes.n_positions or self.tokenizer.get_vocab_size() > sizes.vocab_size:
            raise TrainError(
                f"{data} has rows of {self.length} tokens out of {self.tokenizer.get_vocab_size()},"
                f" the model {sizes.n_positions} positions and {sizes.vocab_size} tokens: pack the "
                "data for this model, with its tokenizer"
            )
        self.model.config = dataclasses.replace(
            self.model.config,
            eos_token_id=end_of_text,
            path_comment=self.rows.description["pack"]["fim"].get("path_comment", False),
        )
        if config.lora_rank:
            add_adapters(self.model, config)
        self.model.recompute = config.recompute
        self.model.to(self.world.device)
        self.precision = choose_precision(config.precision, self.world.device)
        self.module = spread(self.model, self.world, config.shard)
        if worth_compiling(config.compile, self.world.device):
            self.model.compile_parts()
        self.optimizers = make_optimizers(self.model, config)
        self.progress = Progress(
            config, str(data), {"description": self.rows.description, "rows": len(self.rows)}
        )
        self.step, self.seconds = 0, 0.0

    # One optimizer step.

    def train_step(self) -> tuple[float, float]:
        """The mean loss in nats per token and the gradient's norm before it was clipped.

        Raises TrainError, with the weights as they were, when one of them is not finite.
        """
        rate = learning_rate(self.step, self.config, self.progress.warm_from)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
        batches = self.batches.of_step(self.step)
        (n_targets,) = self.world.sum(sum(batch.n_targets for batch in batches))
        total = torch.zeros((), device=self.world.device)
        for index, batch in enumerate(batches):
            # Dropout depends on seed and step alone, so nothing of it need be saved.
            torch.manual_seed(_seed(self.config.seed, self.step, self.world.rank, index))
            share_gradients(self.module, index == len(batches) - 1)
            loss = self._loss(batch)
            # Gradients are averaged over processes; what is wanted is the sum over all tokens.
            (loss * (self.world.size / n_targets)).backward()
            total += loss.detach()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        norm_value = float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)
        mean = self.world.sum(total.item())[0] / n_targets
        if not math.isfinite(mean) or not math.isfinite(norm_value):
            raise TrainError(
                f"the loss is {mean} at step {self.step}, the gradient's norm {norm_value}; the "
                "checkpoint is still the last good one. Go on from it with a lower learning rate: "
                f"--resume --set learning_rate={self.config.learning_rate / 2:g}"
            )
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return mean, norm_value

    def _loss(self, batch: Batch) -> torch.Tensor:
        """Summed over the batch's targets."""
        with torch.autocast(
            self.world.device.type, torch.bfloat16, enabled=self.precision == torch.bfloat16
        ):
            loss: torch.Tensor = self.module(batch.inputs, batch.targets, documents=batch.documents)
        return loss

    # Evaluation and checkpoints.

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Mean loss of the held-out rows by language, nats per token. Every process does it all."""
        self.model.eval()
        losses = {}
        for language, rows in self.rows.validation(self.config.validation_rows).items():
            total, count = 0.0, 0
            for batch in self.batches.cut(rows):
                total += self._loss(batch).item()
                count += batch.n_targets
            losses[language] = total / max(1, count)
        self.model.train()
        return losses

    def save(self, name: str = "checkpoint") -> None:
        """Raises TrainError when it cannot be written; the old checkpoint is kept then."""
        progress = dataclasses.replace(
            self.progress, config=self.config, step=self.step, seconds=self.seconds
        )
        save_checkpoint(
            self.out / name,
            self.module,
            self.optimizers,
            self.model.config,
            [self.tokenizer_path, *sorted((self.out / FROM_INITIAL).glob("*"))],
            progress,
            self.world,
        )

    def restore(self, checkpoint: Path) -> None:
        """Go on from a checkpoint of this run; the weights are the initial ones already.

        Raises TrainError when its data or optimizer are not this run's.
        """
        saved = read_progress(checkpoint)
        if saved.data != self.progress.data:
            raise TrainError(
                f"{self.progress.data_path} is not what {checkpoint} was trained on: give the same "
                "data, or start a new run on these with --init-from"
            )
        if self.config.lora_rank:
            load_adapters(self.model, checkpoint / "adapter")
        self.step, self.seconds, warm_from = saved.step, saved.seconds, saved.warm_from
        if not load_optimizers(checkpoint, self.module, self.optimizers):
            self.say(f"{checkpoint} has no optimizer state: the learning rate warms up again")
            warm_from = saved.step
        self.progress = dataclasses.replace(self.progress, warm_from=warm_from)

    def say(self, text: str) -> None:
        if self.world.is_first:
            tqdm.write(text)

    # The loop.

    def run(self, deadline: float | None = None) -> None:
        """Train to max_steps or until time.monotonic() is `deadline`; evaluate, log and save."""
        log = RunLog(self.out, self.step) if self.world.is_first else None
        closing = 0.0  # seconds that the last evaluation and checkpoint took
        with (
            _StopOnSignal() as stop,
            tqdm(
                total=self.config.max_steps,
                initial=self.step,
                unit="step",
                disable=not self.world.is_first,
            ) as bar,
        ):
            for line in self._steps():
                late = deadline is not None and time.monotonic() + closing > deadline
                (stopped,) = self.world.sum(stop.wanted or (late and self.world.is_first))
                last = self.step == self.config.max_steps or stopped > 0
                bar.set_postfix_str(
                    f"loss {line['loss']:.3f}, {line['tokens_per_second']} tokens/s, "
                    f"{line['utilisation']:.0%} of a matrix product's speed"
                )
                bar.update()
                if self.step % self.config.evaluate_every == 0 or last:
                    started = time.monotonic()
                    line["validation"] = self._evaluate()
                    self.save()
                    closing = time.monotonic() - started
                    self.say(f"step {self.step}: validation loss {line['validation']}")
                if self.step == decay_start(self.config) and not last:
                    self.save("stable")
                if log:
                    log.write(line)
                    if "validation" in line:
                        plot([self.out], self.out / "loss.svg")
                if last:
                    break
        if log:
            log.close()

    def _steps(self) -> Iterator[Line]:
        """Train step after step; yields what the log says of each."""
        tokens = self.config.batch_size * self.length
        flops = tokens * flops_per_token(
            self.model.config.architecture, self.length, frozen=self.config.lora_rank > 0
        )
        peak = peak_flops(self.world.device, self.precision) * self.world.size
        first, spent = self.step, 0.0
        while self.step < self.config.max_steps:
            started = time.monotonic()
            rate = learning_rate(self.step, self.config, self.progress.warm_from)
            loss, norm = self.train_step()
            seconds = time.monotonic() - started
            self.seconds += seconds
            spent += seconds
            left = spent / (self.step - first) * (self.config.max_steps - self.step)
            yield {
                "step": self.step,
                "tokens": self.step * tokens,
                "loss": round(loss, 4),
                "learning_rate": rate,
                "gradient_norm": round(norm, 4),
                "tokens_per_second": round(tokens / seconds),
                "utilisation": round(flops / seconds / peak, 4),
                "seconds": round(self.seconds, 2),
                "minutes_left": round(left / 60, 1),
            }

    def _evaluate(self) -> dict[str, float]:
        losses = self.validate()
        if self.world.is_first and not self.config.shard:  # a sharded model runs on all or none
            write_samples(
                self.out / "samples.md",
                title_of(self.step, losses),
                self.model.eval(),
                self.tokenizer,
                self.form,
                self.rows.validation(self.config.validation_rows),
            )
            self.model.train()
        return {language: round(loss, 4) for language, loss in losses.items()}


def _seed(*numbers: int) -> int:
    """One number of several, the same on every machine."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


class _StopOnSignal:
    """Ctrl-C or SIGTERM asks for a checkpoint after the current step instead of losing it.

    Only as long as it is entered: processes that are forked later must end at SIGTERM.
    """

    def __init__(self) -> None:
        self.wanted = False

    def __enter__(self) -> _StopOnSignal:
        self._before = {
            number: signal.signal(number, self._on_signal)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: object) -> None:
        self.wanted = True
