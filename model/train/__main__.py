"""The command line of training."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from model.gpt import GPT
from model.rows import DataError
from model.train import __doc__ as description
from model.train.checkpoints import find_checkpoint, read_progress
from model.train.config import TrainConfig, read_assignments, read_toml
from model.train.distributed import World, join_world, leave_world
from model.train.errors import TrainError
from model.train.fine_tuning import fine_tuning_config
from model.train.initial import ORIGIN_FILE, Initial, load_initial
from model.train.loop import train
from model.train.repository import is_packed, pack_sources
from model.train.schedule import decay_start
from model.train.trainer import FROM_INITIAL, Trainer
from santa_lsp.models.files import restore_folder


def main(arguments: list[str] | None = None) -> int:
    """Return 0, or 1 after a failure explained in one line; 2 for usage."""
    started = time.monotonic()
    options = _parser().parse_args(arguments)
    world = join_world()
    try:
        trainer = start(options, world)
        minutes = options.max_minutes
        train(trainer, None if minutes is None else started + 60 * minutes)
    except (TrainError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:  # a full disk, above all; a failed checkpoint is a TrainError
        print(f"error: {error}; the last checkpoint is kept: --resume goes on", file=sys.stderr)
        return 1
    leave_world()
    return 0


def start(options: argparse.Namespace, world: World | None = None) -> Trainer:
    """A new run, or the one in `--out`. Raises TrainError and DataError."""
    world = world or World()
    trainer = _resumed(options, world) if options.resume else _new(options, world)
    trainer.say(
        f"{trainer.model.parameter_count() / 1e6:.1f}M parameters on {world.size} x "
        f"{world.device.type}, {str(trainer.precision).removeprefix('torch.')}, "
        f"{len(trainer.rows)} rows of {trainer.length} tokens, "
        f"steps {trainer.step} to {trainer.config.max_steps}"
    )
    return trainer


def _new(options: argparse.Namespace, world: World) -> Trainer:
    out: Path = options.out
    restore_folder(out / "checkpoint")
    if (out / "checkpoint").exists():
        raise TrainError(f"{out} already holds a run; add --resume or choose another --out")
    if options.data is None:
        raise TrainError("--data is missing: a folder by model.data or, with --init-from, of code")
    values = _values(options)
    initial = load_initial(options.init_from) if options.init_from else None
    seed = values.get("seed", TrainConfig().seed)
    out.mkdir(parents=True, exist_ok=True)
    data = _packed(options.data, out, initial, seed, world)
    if initial is None:
        return Trainer(data, out, TrainConfig().replaced(values), world=world)
    if (data / "tokenizer.json").read_bytes() != initial.tokenizer.read_bytes():
        raise TrainError(
            f"{data} was packed with another tokenizer than {options.init_from} has: pack it "
            f"with --tokenizer {initial.tokenizer}"
        )
    config = TrainConfig() if options.config else fine_tuning_config(initial.model, data, world)
    if config.lora_rank == 0 and options.lora:
        config = fine_tuning_config(initial.model, data, world, lora=True)
    config = config.replaced(values).with_sizes_of(initial.model.config)
    if world.is_first:
        _keep_origin(initial, out / FROM_INITIAL)
        if config.lora_rank:
            initial.model.save(out / "base")
    return Trainer(data, out, config, initial=initial.model, world=world)


def _keep_origin(initial: Initial, folder: Path) -> None:
    """A model's licence goes with all that is trained from it."""
    folder.mkdir(exist_ok=True)
    for notice in initial.notices:
        shutil.copyfile(notice, folder / notice.name)
    (folder / ORIGIN_FILE).write_text(json.dumps(initial.origin, indent=2) + "\n")


def _packed(data: Path, out: Path, initial: Initial | None, seed: int, world: World) -> Path:
    """`data` if it is packed already, else the folder that it is packed into."""
    if is_packed(data):
        return data
    if initial is None:
        raise TrainError(
            f"{data} holds no packed data; make them with python -m model.data, or give "
            "--init-from a model, with whose tokenizer they can be packed"
        )
    packed = out / "data"
    if world.is_first and not is_packed(packed):
        model = initial.model.config
        n_positions = min(model.n_positions, 2048)
        pack_sources(data, packed, initial.tokenizer, n_positions, seed, model.path_comment)
    world.wait()
    return packed


def _resumed(options: argparse.Namespace, world: World) -> Trainer:
    if options.config or options.init_from or options.lora:
        raise TrainError(
            "--resume takes the run's own configuration; change single values with --set"
        )
    checkpoint = find_checkpoint(options.out)
    saved = read_progress(checkpoint)
    config = saved.config.replaced(_values(options))
    if config.max_steps > saved.config.max_steps and saved.step > decay_start(saved.config):
        checkpoint = find_checkpoint(options.out, "stable")
        saved = read_progress(checkpoint)
        if world.is_first:
            print(f"longer than planned: goes on from before the decay, step {saved.step}")
    data = options.data or Path(saved.data_path)
    if not is_packed(data):
        data = options.out / "data"
    if not is_packed(data):
        raise TrainError(f"{saved.data_path} is not here: give --data the run's packed data")
    base = options.out / "base" if saved.config.lora_rank else checkpoint
    try:
        model = GPT.load(base)
    except (OSError, ValueError) as error:
        raise TrainError(f"{base} cannot be read: {error}") from error
    if config != config.with_sizes_of(model.config) or config.lora_rank != saved.config.lora_rank:
        raise TrainError(
            f"{checkpoint} holds another model: n_layer, n_head, n_embd and lora_rank are "
            f"{model.config.n_layer}, {model.config.n_head}, {model.config.n_embd}, "
            f"{saved.config.lora_rank}"
        )
    trainer = Trainer(data, options.out, config, initial=model, world=world)
    trainer.restore(checkpoint)
    return trainer


def _values(options: argparse.Namespace) -> dict[str, Any]:
    """Values of the configuration file and the command line; the latter overrides."""
    values = read_toml(options.config) if options.config else {}
    values |= read_assignments(options.set)
    flags = {"max_steps": options.max_steps, "seed": options.seed}
    return values | {name: value for name, value in flags.items() if value is not None}


def _parser() -> argparse.ArgumentParser:
    names = ", ".join(field.name for field in dataclasses.fields(TrainConfig))
    parser = argparse.ArgumentParser(
        prog="python -m model.train",
        description=description,
        epilog=f"Names for FILE and --set, explained in model/train/config.py: {names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="packed data, a corpus, or code")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the run's folder")
    parser.add_argument(
        "--init-from", metavar="NAME|DIR", help="start from an installed model, checkpoint or run"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the run's checkpoint")
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML, as in model/configs")
    parser.add_argument("--lora", action="store_true", help="train low-rank adapters only")
    parser.add_argument("--max-steps", type=int, metavar="N")
    parser.add_argument("--max-minutes", type=float, metavar="M", help="save and stop by then")
    parser.add_argument("--seed", type=int, metavar="N")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="see below")
    return parser


if __name__ == "__main__":
    sys.exit(main())
