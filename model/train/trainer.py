"""One run's model, optimizers and data: its step, validation and checkpoints."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from model.gpt import GPT, GPTConfig
from model.rows import TokenRows
from model.tokenizer import load as load_tokenizer
from model.train.batches import Batch, Batches
from model.train.checkpoints import Progress, load_optimizers, read_progress, save_checkpoint
from model.train.config import TrainConfig
from model.train.distributed import World, share_gradients, spread
from model.train.errors import TrainError
from model.train.lora import add_adapters, load_adapters
from model.train.optimizers import make_optimizers
from model.train.schedule import learning_rate
from model.train.speed import choose_precision, worth_compiling
from santa_lsp.families.prompt import END_OF_TEXT, find_dialect

#: In a run's folder: the files of the initial model that its checkpoints take over.
FROM_INITIAL = "from"


class Trainer:
    """One run, for pre-training and fine-tuning, in one process or as one of many."""

    def __init__(
        self,
        data: Path,
        out: Path,
        config: TrainConfig,
        *,
        initial: GPT | None = None,
        world: World | None = None,
    ) -> None:
        """Starts from `initial`'s weights, or random ones. Raises TrainError and DataError."""
        self.config, self.out, self.world = config, out, world or World()
        self.rows = TokenRows(data, config.seed)
        self.length: int = self.rows.description["n_positions"]
        self.tokenizer_path = data / "tokenizer.json"
        self.tokenizer = load_tokenizer(self.tokenizer_path)
        found = find_dialect(self.tokenizer.token_to_id)
        if found is None:
            raise TrainError(f"{self.tokenizer_path} has no fill-in-the-middle tokens")
        self.fim = found[1]
        end_of_text = self.tokenizer.token_to_id(END_OF_TEXT)
        if end_of_text is None:
            raise TrainError(f"{self.tokenizer_path} has no token {END_OF_TEXT}")
        self.batches = Batches(self.rows, self.fim, end_of_text, config, self.world)
        torch.manual_seed(config.seed)
        self.model = initial or GPT(
            GPTConfig(
                vocab_size=self.tokenizer.get_vocab_size(),
                n_positions=self.length,
                n_embd=config.n_embd,
                n_layer=config.n_layer,
                n_head=config.n_head,
            )
        )
        sizes = self.model.config
        if self.length > sizes.n_positions or self.tokenizer.get_vocab_size() > sizes.vocab_size:
            raise TrainError(
                f"{data} has rows of {self.length} tokens out of {self.tokenizer.get_vocab_size()},"
                f" the model {sizes.n_positions} positions and {sizes.vocab_size} tokens: pack the "
                "data for this model, with its tokenizer"
            )
        self.model.config = dataclasses.replace(
            sizes,
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
            # Gradients are averaged over processes; the sum over all tokens is wanted.
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

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Mean loss of the held-out rows by language, nats per token. Each process computes all."""
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
                f"{checkpoint} was trained on other data than {self.progress.data_path}: give the "
                "same data, or start a new run on these with --init-from"
            )
        if self.config.lora_rank:
            load_adapters(self.model, checkpoint / "adapter")
        self.step, self.seconds, warm_from = saved.step, saved.seconds, saved.warm_from
        if not load_optimizers(checkpoint, self.module, self.optimizers):
            self.say(f"{checkpoint} has no optimizer state: the learning rate warms up again")
            warm_from = saved.step
        self.progress = dataclasses.replace(self.progress, warm_from=warm_from)

    def say(self, text: str) -> None:
        """Tell the user, without breaking the progress bar."""
        if self.world.is_first:
            tqdm.write(text)


def _seed(*numbers: int) -> int:
    """One number of several, the same on every machine."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
