"""The training loop: step, log, evaluate, save, until the last step, a deadline or a signal."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

from tqdm import tqdm

from model.plot import plot
from model.runlog import Line, RunLog
from model.train.samples import title_of, write_samples
from model.train.schedule import decay_start, learning_rate
from model.train.speed import flops_per_token, peak_flops
from model.train.trainer import Trainer


def train(trainer: Trainer, deadline: float | None = None) -> None:
    """Train to max_steps or until time.monotonic() is `deadline`; evaluate, log and save."""
    config, world = trainer.config, trainer.world
    log = RunLog(trainer.out, trainer.step) if world.is_first else None
    closing = 0.0  # seconds that the last evaluation and checkpoint took
    with (
        _StopOnSignal() as stop,
        tqdm(
            total=config.max_steps,
            initial=trainer.step,
            unit="step",
            disable=not world.is_first,
        ) as bar,
    ):
        for line in _steps(trainer):
            late = deadline is not None and time.monotonic() + closing > deadline
            (stopped,) = world.sum(stop.wanted or (late and world.is_first))
            last = trainer.step == config.max_steps or stopped > 0
            bar.set_postfix_str(
                f"loss {line['loss']:.3f}, {line['tokens_per_second']} tokens/s, "
                f"{line['utilisation']:.0%} of a matrix product's speed"
            )
            bar.update()
            if trainer.step % config.evaluate_every == 0 or last:
                started = time.monotonic()
                line["validation"] = _evaluate(trainer)
                trainer.save()
                closing = time.monotonic() - started
                trainer.say(f"step {trainer.step}: validation loss {line['validation']}")
            if trainer.step == decay_start(config) and not last:
                trainer.save("stable")
            if log:
                log.write(line)
                if "validation" in line:
                    plot([trainer.out], trainer.out / "loss.svg")
            if last:
                break
    if log:
        log.close()


def _steps(trainer: Trainer) -> Iterator[Line]:
    """Train step after step; yields the log's line of each."""
    config = trainer.config
    tokens = config.batch_size * trainer.length
    flops = tokens * flops_per_token(trainer.model.config, trainer.length)
    peak = peak_flops(trainer.world.device, trainer.precision) * trainer.world.size
    first, spent = trainer.step, 0.0
    while trainer.step < config.max_steps:
        started = time.monotonic()
        rate = learning_rate(trainer.step, config, trainer.progress.warm_from)
        loss, norm = trainer.train_step()
        seconds = time.monotonic() - started
        trainer.seconds += seconds
        spent += seconds
        left = spent / (trainer.step - first) * (config.max_steps - trainer.step)
        yield {
            "step": trainer.step,
            "tokens": trainer.step * tokens,
            "loss": round(loss, 4),
            "learning_rate": rate,
            "gradient_norm": round(norm, 4),
            "tokens_per_second": round(tokens / seconds),
            "utilisation": round(flops / seconds / peak, 4),
            "seconds": round(trainer.seconds, 2),
            "minutes_left": round(left / 60, 1),
        }


def _evaluate(trainer: Trainer) -> dict[str, float]:
    """Validation losses by language; the first process writes samples."""
    losses = trainer.validate()
    config = trainer.config
    if trainer.world.is_first and not config.shard:  # a sharded model runs on all or none
        write_samples(
            trainer.out / "samples.md",
            title_of(trainer.step, losses),
            trainer.model.eval(),
            trainer.tokenizer,
            trainer.fim,
            trainer.rows.validation(config.validation_rows),
        )
        trainer.model.train()
    return {language: round(loss, 4) for language, loss in losses.items()}


class _StopOnSignal:
    """Within it, Ctrl-C or SIGTERM ends training after the current step, with a checkpoint.

    Processes that are forked outside of it end at SIGTERM.
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
