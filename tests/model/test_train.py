from __future__ import annotations

import json
import math
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from model import plot
from model.rows import DataError
from model.train import TrainConfig, Trainer, TrainError
from model.train.loop import train
from tests.support.runs import ROOT, argv, finish, log_of, spawn, trainer, weights

SMALL = TrainConfig(n_layer=1, n_head=2, n_embd=16, precision="float32")


@pytest.fixture(scope="module")
def finished(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never stopped."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    train(trainer(out, data=packed))
    return out


def assert_same_weights(one: Path, other: Path) -> None:
    for name, tensor in weights(one).items():
        assert torch.equal(tensor, weights(other)[name]), name


def test_the_loss_falls(finished: Path) -> None:
    log = log_of(finished)
    assert [line["step"] for line in log] == list(range(1, 25))
    evaluated = [sum(line["validation"].values()) for line in log if "validation" in line]
    languages = len(log[-1]["validation"])
    assert len(evaluated) == 3
    assert evaluated[-1] < evaluated[0] < languages * (math.log(600) + 0.2)


def test_a_run_leaves_what_one_wants_to_look_at(finished: Path) -> None:
    assert (finished / "loss.svg").read_text().lstrip().startswith("<?xml")
    samples = (finished / "samples.md").read_text()
    assert samples.count("## Step") == 3
    assert "```" in samples
    last = log_of(finished)[-1]
    assert last["tokens"] == 24 * 4 * 64
    assert last["tokens_per_second"] > 0
    assert 0 < last["utilisation"] < 1
    assert last["minutes_left"] == 0
    events = EventAccumulator(str(finished / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == list(range(1, 25))
    assert any(tag.startswith("validation/") for tag in events.Tags()["scalars"])


def test_several_runs_are_drawn_together(finished: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(finished, other)
    plot.plot([finished, other], tmp_path / "both.svg")
    drawing = (tmp_path / "both.svg").read_text()
    assert "whole" in drawing
    assert "other" in drawing


@pytest.mark.parametrize("stop_at", [3, 8, 17])
def test_a_resumed_run_is_bit_identical(
    packed: Path, finished: Path, tmp_path: Path, stop_at: int
) -> None:
    out = tmp_path / "run"
    first = trainer(out, data=packed)
    while first.step < stop_at:
        first.train_step()
    first.save()
    first.train_step()  # lost, as when the process is killed
    resumed = trainer(out)
    assert resumed.step == stop_at
    train(resumed)
    assert_same_weights(finished, out)


def test_a_resumed_run_is_bit_identical_with_muon(packed: Path, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "run"
    train(trainer(whole, data=packed, optimizer="muon"))
    first = trainer(out, data=packed, optimizer="muon")
    for _ in range(7):
        first.train_step()
    first.save()
    train(trainer(out))
    assert_same_weights(whole, out)


def test_a_checkpoint_of_before_there_were_families_goes_on(
    packed: Path, finished: Path, tmp_path: Path
) -> None:
    """Its optimizer's parameters have gpt_bigcode's names."""
    out = tmp_path / "run"
    first = trainer(out, data=packed)
    for _ in range(7):
        first.train_step()
    first.save()
    path = out / "checkpoint" / "state.pt"
    state = torch.load(path)
    state["state"] = {f"transformer.{name}": each for name, each in state["state"].items()}
    for group in state["param_groups"]:
        group["params"] = [f"transformer.{name}" for name in group["params"]]
    torch.save(state, path)
    train(trainer(out))
    assert_same_weights(finished, out)


def test_training_needs_neither_an_engine_nor_the_packages_of_a_corpus() -> None:
    missing = ("ctranslate2", "gguf", "huggingface_hub", "platformdirs", "pygls", "lsprotocol")
    missing += ("datasketch", "packaging.licenses", "pathspec", "tree_sitter")
    script = f"import sys; sys.modules |= dict.fromkeys({missing}); import model.train.__main__"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_weights(
    packed: Path, finished: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    process = spawn(argv(out, data=packed, evaluate_every=1))
    step, log = random.randint(1, 12), out / "log.jsonl"  # of 24: not the end
    while not log.exists() or log.read_bytes().count(b"\n") < step:
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(random.uniform(0, 0.05))  # into a step, an evaluation or a checkpoint
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    train(trainer(out))
    assert [line["step"] for line in log_of(out)] == list(range(1, 25))
    assert_same_weights(finished, out)


def test_a_kill_between_the_renames_loses_nothing(packed: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    first = trainer(out, data=packed)
    first.train_step()
    first.save()
    (out / "checkpoint").rename(out / ".checkpoint.old")
    (out / ".checkpoint.new").mkdir()
    assert trainer(out).step == 1


def test_ctrl_c_saves_a_checkpoint_first(packed: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = spawn(argv(out, "--max-steps", 100_000, data=packed))
    while not (out / "checkpoint").exists():
        assert process.poll() is None
        time.sleep(0.05)
    before = log_of(out)[-1]["step"]
    process.send_signal(signal.SIGINT)
    finish(process)
    saved = json.loads((out / "checkpoint" / "train.json").read_text())
    assert saved["step"] == log_of(out)[-1]["step"] >= before


def test_signals_are_left_as_they_were(packed: Path, tmp_path: Path) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    train(trainer(tmp_path / "run", data=packed))
    assert [signal.getsignal(number) for number in numbers] == before


def test_a_run_ends_when_its_minutes_are_over(packed: Path, tmp_path: Path) -> None:
    run = trainer(tmp_path / "run", data=packed, max_steps=100_000)
    train(run, deadline=time.monotonic() + 0.2)
    assert run.step < 100_000
    assert trainer(tmp_path / "run").step == run.step


def test_a_run_is_made_longer_from_before_its_decay(packed: Path, tmp_path: Path) -> None:
    long, short = tmp_path / "long", tmp_path / "short"
    train(trainer(long, data=packed, max_steps=30))
    train(trainer(short, data=packed, max_steps=20))
    extended = trainer(short, "--max-steps", 30)
    assert extended.step == 16  # where the decay of 20 steps began
    train(extended)
    assert_same_weights(long, short)


def test_without_the_optimizer_a_run_warms_up_again(
    packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    first = trainer(out, data=packed)
    for _ in range(6):
        first.train_step()
    first.save()
    (out / "checkpoint" / "state.pt").unlink()
    resumed = trainer(out)
    assert "warms up again" in capsys.readouterr().out
    train(resumed)
    rates = [line["learning_rate"] for line in log_of(out)]
    assert rates[0] == pytest.approx(1e-2 / 4)
    assert rates[3] == pytest.approx(1e-2)


@pytest.mark.parametrize("name", ["n_layer", "n_embd", "lora_rank"])
def test_a_checkpoint_of_another_model_is_refused(finished: Path, name: str) -> None:
    with pytest.raises(TrainError, match="another model: n_layer, n_head, n_embd"):
        trainer(finished, **{name: 4})


def test_other_data_or_another_optimizer_are_refused(
    packed: Path, finished: Path, tmp_path: Path
) -> None:
    other = tmp_path / "data"
    shutil.copytree(packed, other)
    description = json.loads((other / "data.json").read_text())
    (other / "data.json").write_text(json.dumps({**description, "tokens": {}}))
    with pytest.raises(TrainError, match="trained on other data"):
        trainer(finished, "--data", other)
    with pytest.raises(TrainError, match="does not fit this run's optimizer"):
        trainer(finished, optimizer="muon")


def test_what_to_do_is_said_when_there_is_nothing_to_start_from(
    packed: Path, finished: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainError, match="--resume"):
        trainer(finished, data=packed)
    with pytest.raises(TrainError, match="no checkpoint"):
        trainer(tmp_path / "none")
    with pytest.raises(TrainError, match=r"model\.data"):
        trainer(tmp_path / "run", data=tmp_path)
    with pytest.raises(TrainError, match="--set"):
        trainer(finished, "--config", "other.toml")


def test_a_corpus_too_small_for_one_batch_is_refused(packed: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainError, match=r"a step needs 100000: .* --set batch_size=\d+"):
        trainer(tmp_path / "run", data=packed, batch_size=100_000)


def test_damaged_data_are_an_error(packed: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(packed, data)
    for file in data.glob("train-*"):
        file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(DataError, match="damaged"):
        trainer(tmp_path / "run", data=data).train_step()


def test_a_loss_that_is_no_number_stops_before_the_weights_change(
    packed: Path, tmp_path: Path
) -> None:
    run = trainer(tmp_path / "run", data=packed)
    with torch.no_grad():
        run.model.ln_f.weight.fill_(math.inf)
    before = run.model.get_parameter("wpe.weight").clone()
    with pytest.raises(TrainError, match=r"--resume --set learning_rate=0\.005"):
        run.train_step()
    assert torch.equal(before, run.model.get_parameter("wpe.weight"))
    assert not (tmp_path / "run" / "checkpoint").exists()


def test_a_full_disk_leaves_the_last_checkpoint(packed: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    first = trainer(out, data=packed)
    first.train_step()
    first.save()
    before = weights(out)

    def small_files() -> None:  # fails as a full disk does, in whichever library is writing
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    errors = finish(spawn(argv(out, evaluate_every=2), preexec_fn=small_files), status=1)
    message = errors.splitlines()[-1]
    assert message.startswith("error: the checkpoint of step 2 cannot be written")
    assert "step 1 is kept: make room and go on with --resume" in message
    assert all(torch.equal(before[name], tensor) for name, tensor in weights(out).items())
    assert not (out / ".checkpoint.new").exists()
    resumed = trainer(out)
    assert resumed.step == 1
    resumed.train_step()


@pytest.mark.parametrize("size", [1, 2, 3])
def test_passes_of_any_size_add_up_to_the_same_step(
    packed: Path, tmp_path: Path, size: int
) -> None:
    config = replace(SMALL, batch_size=4)
    whole = Trainer(packed, tmp_path, config)
    parts = Trainer(packed, tmp_path, replace(config, micro_batch_size=size))
    assert parts.train_step() == pytest.approx(whole.train_step(), rel=1e-5)
    for name, parameter in whole.model.named_parameters():
        torch.testing.assert_close(parts.model.get_parameter(name), parameter, rtol=1e-3, atol=1e-5)


def test_padding_carries_no_loss(packed: Path, tmp_path: Path) -> None:
    run = Trainer(packed, tmp_path, SMALL)
    batch = run.batches.batch([[1, 2, run.form.pad, run.form.pad]])
    assert batch.targets.tolist() == [[2, -1, -1]]
    assert batch.inputs.tolist() == [[1, 2, run.form.pad]]
    assert batch.documents is None


def test_document_masks_keep_examples_of_a_row_apart(packed: Path, tmp_path: Path) -> None:
    run = Trainer(packed, tmp_path, replace(SMALL, document_masks=True))
    end = run.batches.end_of_text
    batch = run.batches.batch([[7, 8, end, 9, 10, end, run.form.pad]])
    assert batch.documents is not None
    assert batch.documents.tolist() == [[0, 0, 0, 1, 1, 1]]
    # No loss where a document would have to guess how the next one begins.
    assert batch.targets.tolist() == [[8, end, -1, 10, end, -1]]
    alone = run.batches.batch([[9, 10, end]])
    with torch.no_grad():
        together = run._loss(batch)
        first = run._loss(run.batches.batch([[7, 8, end]]))
        torch.testing.assert_close(together, first + run._loss(alone))
    run.train_step()


def test_bfloat16_trains_too(packed: Path, tmp_path: Path) -> None:
    run = Trainer(packed, tmp_path, replace(SMALL, precision="bfloat16", warmup_steps=1))
    losses = [run.train_step()[0] for _ in range(12)]
    assert min(losses[-3:]) < losses[0]
    assert run.model.get_parameter("wpe.weight").dtype == torch.float32


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"n_layers": 2}, "unknown n_layers; known are n_layer"),
        ({"precision": "float16"}, "precision must be one of auto, float32, bfloat16"),
        ({"optimizer": "sgd"}, "optimizer must be one of adamw, muon"),
        ({"n_layer": "two"}, "n_layer must be a int, not 'two'"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"decay_share": 2}, "decay_share must be between"),
        ({"shard": True, "optimizer": "muon"}, "shard works with"),
        ({"shard": True}, "start it with torchrun"),
    ],
)
def test_a_bad_value_is_named(
    packed: Path, tmp_path: Path, values: dict[str, object], words: str
) -> None:
    with pytest.raises(TrainError, match=words):
        trainer(tmp_path / "run", data=packed, **values)


def test_a_configuration_file_and_the_command_line_over_it(packed: Path, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("n_layer = 1\nn_head = 2\nn_embd = 8\nbatch_size = 2\nmax_steps = 7\n")
    run = trainer(tmp_path / "run", "--config", file, "--max-steps", 9, data=packed, n_embd=16)
    assert (run.config.max_steps, run.config.n_embd, run.config.n_layer) == (9, 16, 2)


@pytest.mark.parametrize("file", sorted(Path("model/configs").glob("*.toml")), ids=str)
def test_the_configurations_of_record_can_be_read(file: Path) -> None:
    from model.train.config import read_toml

    assert TrainConfig().replaced(read_toml(file)).n_layer > 0


def test_the_command_explains_its_errors(tmp_path: Path) -> None:
    errors = finish(spawn(["--data", str(tmp_path), "--out", str(tmp_path / "o")]), status=1)
    assert errors.startswith("error: ")
