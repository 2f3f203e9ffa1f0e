"""Runs that start from a trained model: whose, and on what."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, PreTrainedModel

from model import export
from model.data import pack
from model.fim import FimConfig
from model.packing import PackConfig
from model.train import Trainer, TrainError
from model.train.__main__ import _parser, start
from model.train.initial import load_initial
from model.train.loop import train
from santa_lsp import EMBEDDED, models
from santa_lsp.completion.context import CompletionContext
from santa_lsp.completion.engine import Limits
from santa_lsp.convert import convert
from santa_lsp.convert.checkpoint import open_checkpoint
from santa_lsp.engines.ctranslate2 import CTranslate2Engine
from santa_lsp.families.forms import FIM_PREFIX, FIM_SUFFIX, PSM
from tests.model.conftest import documents
from tests.support import pre_tokenizers, reference
from tests.support.checkpoints import write_checkpoint
from tests.support.gguf_files import write_gguf
from tests.support.runs import ROOT, log_of, trainer
from tests.test_convert_families import CONFIGS
from tests.test_convert_formats import (
    write_custom_safetensors,
    write_megatron,
    write_single_safetensors,
    write_split_attention,
)

CODE = "def area_{n}(width, height):\n    # of rectangle {n}\n    return width * height + {n}\n\n\n"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    for file in range(12):
        text = "".join(CODE.format(n=f"{file}{n}") for n in range(8))
        (folder / f"areas_{file}.py").write_text(text)
    return folder


def fine_tuned(out: Path, name: str | Path, data: Path, *more: str) -> Trainer:
    words = ["--init-from", name, "--data", data, "--out", out, *more]
    return start(_parser().parse_args([str(word) for word in words]))


def test_the_embedded_model_is_fine_tuned_on_a_folder(repository: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run = fine_tuned(out, EMBEDDED, repository)
    assert run.config.n_embd == 192
    assert run.config.document_masks
    assert run.length == 512
    losses = [run.train_step()[0] for _ in range(3)]
    assert losses[-1] < losses[0] < 6  # a random model is at 8.3
    run.save()
    assert load_initial(str(out)).model.config.architecture.n_embd == 192
    assert trainer(out).step == 3  # finds the data that it packed
    # The licence of a model goes with what is made of it.
    argv = [sys.executable, "-m", "model.export", str(out), str(tmp_path / "mine")]
    subprocess.run(argv, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    mine, santa_mini = models.open_model(tmp_path / "mine"), models.find(EMBEDDED)
    assert mine.card["licence"] == santa_mini.card["licence"]
    assert mine.card["source"] == "trained from santa-mini"
    assert (mine.directory / "NOTICE").read_text() == (santa_mini.directory / "NOTICE").read_text()


@pytest.mark.parametrize(
    "write",
    [write_single_safetensors, write_custom_safetensors, write_split_attention, write_megatron],
)
def test_published_layouts_compute_what_transformers_computes(
    tmp_path: Path, write: Callable[[reference.GPTBigCodeForCausalLM, Path], None]
) -> None:
    model = reference.random_model()
    reference.write_tokenizer(tmp_path)
    write(model, tmp_path)
    initial = load_initial(str(tmp_path))
    ids = reference.random_ids(301)
    with torch.inference_mode():
        logits = initial.model(torch.from_numpy(ids)).numpy()
    np.testing.assert_allclose(logits, reference.logits(model, ids), atol=1e-4)
    assert initial.tokenizer == (tmp_path / "tokenizer.json").read_text()
    assert all(parameter.requires_grad for parameter in initial.model.parameters())


def random_model(name: str, vocab_size: int) -> PreTrainedModel:
    """One of CONFIGS, with a vocabulary of its own."""
    config = CONFIGS[name]
    values = {**config.to_dict(), "vocab_size": vocab_size}
    return reference.random_causal_model(type(config).from_dict(values))


@pytest.mark.parametrize("name", ["llama, tied", "granite", "qwen2, untied", "starcoder2"])
def test_a_run_from_any_family(
    tokenizer_path: Path, packed: Path, tmp_path: Path, name: str
) -> None:
    """Trained with adapters or without, sampled, saved, resumed, and exported."""
    base, out = tmp_path / "base", tmp_path / "run"
    random_model(name, vocab_size=600).save_pretrained(base)
    shutil.copyfile(tokenizer_path, base / "tokenizer.json")
    more = ["--lora"] if name.startswith("qwen2") else []
    values = ["max_steps=6", "evaluate_every=3", "learning_rate=3e-2", "precision=float32"]
    run = fine_tuned(out, base, packed, *more, "--set", *values, "validation_rows=2")
    train(run)
    log = log_of(out)
    assert log[-1]["loss"] < log[0]["loss"]
    assert 0 < log[-1]["utilisation"] < 1
    assert "came" in (out / "samples.md").read_text()
    ids = torch.from_numpy(reference.random_ids(600))
    with torch.inference_mode():
        expected = run.model.eval()(ids)
        torch.testing.assert_close(trainer(out).model.eval()(ids), expected, rtol=0, atol=1e-4)
        theirs = AutoModelForCausalLM.from_pretrained(out / "checkpoint")
        torch.testing.assert_close(theirs(ids).logits, expected, rtol=0, atol=1e-4)
    assert export.measure_parity(out / "checkpoint", rows=2).max_difference <= export.TOLERANCE


def test_a_run_from_a_gguf_file(repository: Path, tmp_path: Path) -> None:
    """It says how the prompts are written, and has the tokenizer."""
    tokenizer = Tokenizer.from_str(pre_tokenizers.tokenizer("gpt2").to_str())
    tokenizer.add_special_tokens(["<|endoftext|>", *reference.FIM_TOKENS["underscore"]])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    model, file = random_model("llama", tokenizer.get_vocab_size()), tmp_path / "model.gguf"
    write_gguf(file, model, tokenizer, general__license="apache-2.0")
    run = fine_tuned(tmp_path / "run", file, repository)
    run.train_step()
    run.save()
    assert run.form.order == PSM
    special = {run.form.marks[part].id for part in (FIM_PREFIX, FIM_SUFFIX)}
    rows = run.rows.batch(0, 4)
    assert special <= set(rows.flatten().tolist())
    assert not ((rows[:, :-1] == min(special)) & (rows[:, 1:] == max(special))).any()  # no SPM
    trained = open_checkpoint(tmp_path / "run" / "checkpoint")
    assert trained.about["licence"] == "apache-2.0"
    assert trained.metadata["prompt_format"] == run.form.to_json()


def test_an_installed_model_and_a_run_are_the_same_model(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "run" / "checkpoint")
    model_dir = convert(checkpoint, tmp_path / "model", name="m", quantization="float32")
    one, other = load_initial(str(tmp_path / "run")), load_initial(str(model_dir))
    for name, tensor in one.model.state_dict().items():
        assert torch.equal(tensor, other.model.state_dict()[name])


def test_a_model_that_was_taught_the_path_is_told_it_everywhere(
    tokenizer_path: Path, repository: Path, tmp_path: Path
) -> None:
    """From packed data to a run, a model directory, the server's prompt, and fine-tuning on."""
    taught = PackConfig(256, FimConfig(path_comment=True), 0, 1, validation_stride=8)
    pack(documents(), tokenizer_path, tmp_path / "data", taught, jobs=1)
    run = trainer(tmp_path / "run", data=tmp_path / "data")
    run.save()
    model = models.open_model(
        convert(tmp_path / "run" / "checkpoint", tmp_path / "model", name="taught")
    )
    assert model.path_comment
    engine = CTranslate2Engine(model, "cpu")
    context = CompletionContext("python", "/home/me/app/main.py", "x = ", "\n")
    prompt_ids, _ = engine.plan(context, Limits(4))
    tokenizer = Tokenizer.from_file(str(tokenizer_path))
    assert "# python app/main.py\nx = " in tokenizer.decode(prompt_ids)
    again = fine_tuned(tmp_path / "again", tmp_path / "model", repository)
    assert again.model.config.path_comment
    rows = again.rows.batch(0, 1).tolist()
    assert "# python" in tokenizer.decode(rows[0])
    plain = load_initial(str(write_checkpoint(tmp_path / "plain")))
    assert not plain.model.config.path_comment


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"activation_function": "mish"}, "activation 'mish'"),
        ({"n_layer": 5}, "no tensor"),
    ],
)
def test_a_model_that_cannot_be_trained_is_refused(
    tmp_path: Path, config: dict[str, object], words: str
) -> None:
    checkpoint = write_checkpoint(tmp_path)
    values = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps({**values, **config}))
    with pytest.raises(TrainError, match=words):
        load_initial(str(checkpoint))


def test_a_model_that_could_not_be_saved_is_refused(tmp_path: Path) -> None:
    reference.write_tokenizer(tmp_path)
    reference.random_model(multi_query=False).save_pretrained(tmp_path)
    with pytest.raises(TrainError, match="with one key/value head"):
        load_initial(str(tmp_path))


def test_what_does_not_fit_together_is_refused(
    packed: Path, repository: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainError, match="--init-from nowhere"):
        load_initial("nowhere")
    with pytest.raises(TrainError, match="another tokenizer"):
        fine_tuned(tmp_path / "run", EMBEDDED, packed)
    with pytest.raises(TrainError, match="give --init-from a model"):
        trainer(tmp_path / "run", data=repository)
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainError, match="passes the filters"):
        fine_tuned(tmp_path / "run", EMBEDDED, tmp_path / "empty")


def test_a_run_starts_from_another_run(packed: Path, tmp_path: Path) -> None:
    first = trainer(tmp_path / "first", data=packed)
    first.train_step()
    first.save()
    second = fine_tuned(tmp_path / "second", tmp_path / "first", packed)
    assert (second.step, second.config.n_embd) == (0, 16)
    for name, tensor in first.model.state_dict().items():
        assert torch.equal(tensor, second.model.state_dict()[name])
