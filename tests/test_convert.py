from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from santa_lsp import models
from santa_lsp.completion.engine import Limits
from santa_lsp.convert import ConvertError, convert
from santa_lsp.convert.tensors import encode
from santa_lsp.engines.ctranslate2 import CTranslate2Engine
from tests.support.checkpoints import VOCAB_SIZE, write_checkpoint

ROOT = Path(__file__).parents[1]


def test_a_checkpoint_becomes_a_model_that_generates(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint")
    model = models.open_model(convert(checkpoint, tmp_path / "model", name="random"))
    models.verify(model)
    assert (model.name, model.n_positions) == ("random", 128)
    assert model.prompt_format is not None
    assert model.prompt_format["form"] == "santacoder"
    arrays = load_file(checkpoint / "model.safetensors")
    assert model.card["parameters"] == sum(array.size for array in arrays.values())
    tokens: list[int] = []
    engine = CTranslate2Engine(model, threads=1)
    engine.generate_tokens([5, 6, 7], Limits(5), lambda token: bool(tokens.append(token.id)))
    assert tokens


CACHE_GROWTH = """
import json, os, sys
from pathlib import Path
import ctranslate2
directory = Path(sys.argv[1])
vocabulary = json.loads((directory / "vocabulary.json").read_text())
generator = ctranslate2.Generator(str(directory), intra_threads=1)
def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
def keep(seed):
    prompt = [vocabulary[5 + (seed * 31 + i * 7) % 4000] for i in range(250)]
    generator.generate_batch([[vocabulary[9]]], static_prompt=prompt, max_length=1)
keep(0)
before = resident()
for seed in range(1, 97):
    keep(seed)
print(resident() - before)
"""


@pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="measures memory as Linux shows it"
)
def test_the_cache_holds_one_key_value_head(tmp_path: Path) -> None:
    """CTranslate2 4.8 copies it to every query head unless told otherwise, in a way that is not
    documented. Kept states of 96 prompts, 16 heads of 32, 2 layers: 12 MB against 197 MB."""
    sizes = {"n_layer": 2, "n_head": 16, "n_embd": 512, "n_positions": 1024}
    checkpoint = write_checkpoint(tmp_path / "checkpoint", **sizes)  # type: ignore[arg-type]
    model_dir = convert(checkpoint, tmp_path / "model", name="heads")
    done = subprocess.run(
        [sys.executable, "-c", CACHE_GROWTH, str(model_dir)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 60e6


def edit_config(checkpoint: Path, **values: object) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps({**config, **values}))


def edit_arrays(checkpoint: Path, drop: str) -> None:
    arrays = load_file(checkpoint / "model.safetensors")
    del arrays[drop]
    save_file(arrays, checkpoint / "model.safetensors")


def cut_short(file: Path, length: int) -> None:
    file.write_bytes(file.read_bytes()[:length])


def write_index(checkpoint: Path, text: str) -> None:
    (checkpoint / "model.safetensors").unlink()
    (checkpoint / "model.safetensors.index.json").write_text(text)


def to_adapter(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").rename(checkpoint / "adapter_model.safetensors")
    (checkpoint / "adapter_config.json").write_text("{}")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "starcoder2"}, "'starcoder2' is another architecture"),
        ({"activation_function": "mish"}, "activation 'mish'"),
        ({"add_cross_attention": True}, "add_cross_attention"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
        ({"vocab_size": VOCAB_SIZE + 1000}, rf"shape \[{VOCAB_SIZE}, 32\]"),
        ({"vocab_size": 4000}, f"{VOCAB_SIZE} tokens, the model only 4000|shape"),
        ({"n_positions": 64}, "wpe.weight has the shape"),
        ({"n_layer": 3}, "no tensor 'h.2"),
        ({"n_layer": 1}, "'h.1.* is not supported"),
        ({"n_head": 4}, "c_attn"),
        ({"n_head": 5}, "not a multiple"),
        ({"n_embd": "32"}, "no number 'n_embd'"),
        ({"n_head": 0}, "positive number"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_reason(
    tmp_path: Path, config: dict[str, object], words: str
) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint")
    edit_config(checkpoint, **config)
    with pytest.raises(ConvertError, match=words):
        convert(checkpoint, tmp_path / "model", name="x")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "config.json").unlink(), "no config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "is not JSON"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "no tokenizer.json"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "cannot be read"),
        (lambda folder: (folder / "config.json").write_text("[]"), "not a JSON object"),
        (lambda folder: (folder / "model.safetensors").unlink(), "has no weights: none of"),
        (
            lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 99),
            "neither safetensors",
        ),
        (lambda folder: cut_short(folder / "model.safetensors", 99), "is damaged"),
        (lambda folder: cut_short(folder / "model.safetensors", -9), "is cut short"),
        (lambda folder: write_index(folder, "{}"), "index.json is damaged"),
        (lambda folder: write_index(folder, '{"weight_map": {"a": "b"}}'), "no file b, which"),
        (lambda folder: write_index(folder, '{"weight_map": {"a": "../b"}}'), r"no file \.\./b"),
        (lambda folder: to_adapter(folder), "an adapter; merge it"),
        (lambda folder: edit_arrays(folder, "transformer.ln_f.bias"), "ln_f.bias"),
    ],
)
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, damage, words: str) -> None:  # type: ignore[no-untyped-def]
    checkpoint = write_checkpoint(tmp_path / "checkpoint")
    damage(checkpoint)
    with pytest.raises(ConvertError, match=words):
        convert(checkpoint, tmp_path / "model", name="x")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("value", "quantization", "words"),
    [
        (np.nan, "int8", "ln_f.bias holds NaN"),
        (np.inf, "float32", "ln_f.bias holds NaN or infinity"),
        (1e6, "float16", "ln_f.bias has values too large for float16"),
    ],
)
def test_weights_that_are_no_numbers_are_refused(
    tmp_path: Path, value: float, quantization: str, words: str
) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint")
    arrays = load_file(checkpoint / "model.safetensors")
    arrays["transformer.ln_f.bias"][:] = value
    save_file(arrays, checkpoint / "model.safetensors")
    with pytest.raises(ConvertError, match=words):
        convert(checkpoint, tmp_path / "model", name="x", quantization=quantization)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_progress_counts_every_tensor_once(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint")
    total = len(load_file(checkpoint / "model.safetensors"))
    for quantization in ("int8", "float16"):
        seen: list[tuple[int, int]] = []
        convert(
            checkpoint,
            tmp_path / quantization,
            name="x",
            quantization=quantization,
            on_progress=lambda *each, seen=seen: seen.append(each),  # type: ignore[misc]
        )
        assert seen == [(done, total) for done in range(1, total + 1)]


def test_licence_files_stay_with_the_weights(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint")
    (checkpoint / "LICENSE.txt").write_text("terms")
    (checkpoint / "README.md").write_text("card")
    (checkpoint / "LICENSES").mkdir()
    model = models.open_model(convert(checkpoint, tmp_path / "model", name="x"))
    assert (model.directory / "LICENSE.txt").read_text() == "terms"
    assert {"LICENSE.txt", "README.md"} < set(model.card["sha256"])


def test_bfloat16_rounds_to_nearest_even() -> None:
    values = np.array([1.0, 1 + 2**-8, 1 + 3 * 2**-8, -3.14159, 3e38], np.float32)
    found = np.frombuffer(encode(values, "bfloat16"), "<u2")
    assert [f"{bits:04x}" for bits in found] == ["3f80", "3f80", "3f82", "c049", "7f62"]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint")
    convert(checkpoint, tmp_path / "model", name="x")
    with pytest.raises(ConvertError, match="exists already"):
        convert(checkpoint, tmp_path / "model", name="x")


EXPORT = """
import sys
for name in ("torch", "transformers", "safetensors", "huggingface_hub"):
    sys.modules[name] = None  # what raises ImportError
from santa_lsp.commands.main import main
main(["export", *sys.argv[1:]])
"""


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_the_export_command_needs_neither_torch_nor_a_hub(tmp_path: Path, file: str) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint")
    if file == "pytorch_model.bin":
        import torch

        arrays = load_file(checkpoint / "model.safetensors")
        state = {name: torch.from_numpy(array) for name, array in arrays.items()}
        torch.save(state, checkpoint / file)
        (checkpoint / "model.safetensors").unlink()
    argv = [str(checkpoint), str(tmp_path / "out"), "--quantization", "float16"]
    done = subprocess.run(
        [sys.executable, "-c", EXPORT, *argv], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert "100%" in done.stderr  # progress
    assert "loaded and tried" in done.stdout
    assert "before the cursor alone" not in done.stdout
    assert models.open_model(tmp_path / "out").card["quantization"] == "float16"
