"""Runs that start from a trained model: whose, and on what."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from model.data import pack
from model.fim import FimConfig
from model.packing import PackConfig
from model.train import Trainer, TrainError
from model.train.__main__ import _parser, start
from model.train.initial import load_initial
from santa_lsp import EMBEDDED, models
from santa_lsp.completion.context import CompletionContext
from santa_lsp.completion.engine import Limits
from santa_lsp.convert import convert
from santa_lsp.engines.ctranslate2 import CTranslate2Engine
from tests.model.conftest import documents
from tests.support import reference
from tests.support.checkpoints import write_checkpoint
from tests.support.runs import ROOT, trainer, weights
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
    assert load_initial(str(out)).model.config.n_embd == 192
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
    assert initial.tokenizer == tmp_path / "tokenizer.json"
    assert all(parameter.requires_grad for parameter in initial.model.parameters())


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
        ({"activation_function": "relu"}, "activation 'relu'"),
        ({"scale_attn_weights": False}, "multi-query attention and a tied head"),
        ({"n_layer": 5}, "no tensor"),
    ],
)
def test_a_model_that_cannot_be_trained_is_refused(
    tmp_path: Path, config: dict[str, object], words: str
) -> None:
    write_checkpoint(tmp_path / "random")
    edited = write_checkpoint(tmp_path / "edited", **{"n_layer": 2, **config})  # type: ignore[arg-type]
    if "n_layer" in config:
        (edited / "model.safetensors").write_bytes(
            (tmp_path / "random" / "model.safetensors").read_bytes()
        )
    with pytest.raises(TrainError, match=words):
        load_initial(str(edited))


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
    for name, tensor in weights(tmp_path / "first").items():
        assert torch.equal(tensor, second.model.state_dict()[name])
