"""GGUF files that are written hold the checkpoint: read back, they compute the same."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
import pytest
from tokenizers import Tokenizer, pre_tokenizers
from transformers import GPTBigCodeConfig, LlamaConfig, PretrainedConfig

from santa_lsp.commands.main import main
from santa_lsp.convert import ConvertError, convert
from santa_lsp.convert.checkpoint import open_checkpoint
from santa_lsp.convert.gguf_file import read_gguf
from santa_lsp.convert.gguf_writer import to_gguf
from santa_lsp.families.forms import PSM, SPM, find_form
from santa_lsp.models import open_model
from tests.support import reference
from tests.test_convert_families import CONFIGS, LLAMA3, SIZES, Converted

GPT_BIGCODE = GPTBigCodeConfig(
    vocab_size=301, n_positions=256, n_embd=48, n_layer=2, n_head=6, n_inner=96
)
#: Of Llama 3's scaling a file has factors alone; they are recognised for 8,192 positions.
LLAMA_3 = LlamaConfig(
    **SIZES, rope_parameters={**LLAMA3, "original_max_position_embeddings": 8192, "rope_theta": 5e5}
)
WRITTEN = {**CONFIGS, "llama 3": LLAMA_3, "gpt_bigcode": GPT_BIGCODE}


def write_checkpoint(folder: Path, config: PretrainedConfig) -> np.ndarray:
    """The folder's model's logits."""
    model = reference.random_causal_model(config)
    model.save_pretrained(folder)
    reference.write_tokenizer(folder, "underscore")
    return reference.logits(model, reference.random_ids(300))


@pytest.mark.parametrize("name", WRITTEN)
def test_every_family_is_written(tmp_path: Path, name: str) -> None:
    expected = write_checkpoint(tmp_path / "checkpoint", WRITTEN[name])
    file = to_gguf(tmp_path / "checkpoint", tmp_path / "m.gguf", name="m", quantization="f32")
    before, after = open_checkpoint(tmp_path / "checkpoint"), open_checkpoint(file)
    assert after.family == before.family
    for canonical, tensor in before.tensors.items():
        np.testing.assert_array_equal(after.tensors[canonical].read(), tensor.read())
    convert(file, tmp_path / "model", name="x", quantization="float32")
    found = Converted(tmp_path / "model").logits(reference.random_ids(300))
    assert np.abs(found - expected).max() <= 1e-4


def test_the_export_command_writes_a_file_that_can_be_added(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_checkpoint(tmp_path / "checkpoint", CONFIGS["qwen2"])
    file = tmp_path / "small.gguf"
    with pytest.raises(SystemExit) as ended:
        main(["export", "--format", "gguf", str(tmp_path / "checkpoint"), str(file)])
    assert ended.value.code == 0
    assert f"MB in {file}" in capsys.readouterr().out
    assert read_gguf(file).metadata["general.name"] == "small"
    with pytest.raises(SystemExit) as ended:
        main(["export", str(file), str(tmp_path / "model")])
    assert ended.value.code == 0
    assert open_model(tmp_path / "model").prompt_format is not None


def test_names_and_order_are_llama_cpps(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "checkpoint", CONFIGS["llama, biases"])
    to_gguf(tmp_path / "checkpoint", tmp_path / "m.gguf", name="m", quantization="f32")
    reader = gguf.GGUFReader(tmp_path / "m.gguf")
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 2)
    model = reference.random_causal_model(CONFIGS["llama, biases"])
    tensors = {tensor.name: tensor.data for tensor in reader.tensors}
    for name, value in model.state_dict().items():
        found = tensors.pop(names.get_name(name, (".weight", ".bias")))
        assert found.shape == tuple(value.shape)
        same = np.array_equal(found, value.numpy())
        assert same != (".q_proj." in name or ".k_proj." in name)  # whose rows go in pairs
    assert not tensors


def test_matrices_are_quantized_and_the_rest_is_not(tmp_path: Path) -> None:
    config = LlamaConfig(**{**SIZES, "hidden_size": 96, "attention_bias": True})
    write_checkpoint(tmp_path / "checkpoint", config)
    seen: list[tuple[int, int]] = []
    file = to_gguf(
        tmp_path / "checkpoint",
        tmp_path / "m.gguf",
        name="m",
        on_progress=lambda *each: seen.append(each),
    )
    kinds = {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(file).tensors}
    assert kinds["blk.0.attn_q.weight"] == kinds["token_embd.weight"] == "Q8_0"
    assert kinds["blk.0.attn_q.bias"] == kinds["output_norm.weight"] == "F32"
    assert kinds["blk.0.ffn_down.weight"] == "F32"  # rows of 80
    assert seen == [(done, len(kinds)) for done in range(1, len(kinds) + 1)]


def test_the_tokenizer_and_the_form_are_written(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "checkpoint", CONFIGS["qwen2"])
    metadata = read_gguf(to_gguf(tmp_path / "checkpoint", tmp_path / "m.gguf", name="m")).metadata
    tokens = metadata["tokenizer.ggml.tokens"]
    assert tokens[metadata["tokenizer.ggml.fim_mid_token_id"]] == "<fim_middle>"
    assert tokens[metadata["tokenizer.ggml.eos_token_id"]] == "<|endoftext|>"
    assert metadata["tokenizer.ggml.pre"] == "gpt-2"
    assert metadata["tokenizer.ggml.add_bos_token"] is False
    before, after = open_checkpoint(tmp_path / "checkpoint"), open_checkpoint(tmp_path / "m.gguf")
    for text in ("def f(x):\n\treturn 'é' 12", "<fim_middle>x"):
        assert after.tokenizer.encode(text).ids == before.tokenizer.encode(text).ids


def test_how_a_model_was_taught_is_kept(tmp_path: Path) -> None:
    """StarCoder's tokens are read in the other order unless the file says so."""
    folder = tmp_path / "checkpoint"
    write_checkpoint(folder, CONFIGS["llama"])
    config = json.loads((folder / "config.json").read_text())
    taught = {"path_comment": True, "fim_order": "spm"}
    (folder / "config.json").write_text(json.dumps({**config, **taught}))
    for checkpoint in (folder, to_gguf(folder, tmp_path / "m.gguf", name="m")):
        found = open_checkpoint(checkpoint)
        assert found.path_comment
        assert find_form(found.tokenizer.token_to_id, found.metadata).order == SPM  # type: ignore[union-attr]
    (folder / "config.json").write_text(json.dumps(config))
    plain = open_checkpoint(to_gguf(folder, tmp_path / "plain.gguf", name="m"))
    assert not plain.path_comment
    assert find_form(plain.tokenizer.token_to_id, plain.metadata).order == PSM  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"activation_function": "relu"}, "has gelu_tanh, not relu"),
        ({"scale_attn_weights": False}, "no such scale"),
    ],
    ids=str,
)
def test_what_llama_cpp_does_not_compute_is_refused(
    tmp_path: Path, config: dict[str, object], words: str
) -> None:
    values = {**GPT_BIGCODE.to_dict(), **config}
    write_checkpoint(tmp_path / "checkpoint", GPTBigCodeConfig(**values))
    with pytest.raises(ConvertError, match=words):
        to_gguf(tmp_path / "checkpoint", tmp_path / "m.gguf", name="m")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_what_has_no_name_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "checkpoint", CONFIGS["llama"])
    file = tmp_path / "checkpoint" / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(file))
    with pytest.raises(ConvertError, match="no name for the tokenizer's pre-tokenizer"):
        to_gguf(tmp_path / "checkpoint", tmp_path / "m.gguf", name="m")
    with pytest.raises(ConvertError, match="'q9' is not one of q8_0"):
        to_gguf(tmp_path / "checkpoint", tmp_path / "m.gguf", name="m", quantization="q9")
    (tmp_path / "m.gguf").write_bytes(b"mine")
    with pytest.raises(ConvertError, match="exists already"):
        to_gguf(tmp_path / "checkpoint", tmp_path / "m.gguf", name="m")
