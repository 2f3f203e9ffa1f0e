"""GGUF files compute what the model that they were made from computes; bad ones are refused."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Type
from transformers import (
    GPTBigCodeConfig,
    GraniteConfig,
    LlamaConfig,
    PretrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Starcoder2Config,
)

from santa_lsp import models
from santa_lsp.convert import ConvertError, convert
from santa_lsp.convert.checkpoint import open_checkpoint
from santa_lsp.convert.gguf_file import read_gguf
from tests.support import reference
from tests.support.gguf_files import unpair, write_gguf
from tests.test_convert_families import GRANITE, LLAMA3, Converted

TOKENIZER = reference.make_tokenizer()
VOCAB_SIZE = 301
SIZES = {
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "bos_token_id": None,
    "eos_token_id": None,
}
CONFIGS: dict[str, PretrainedConfig] = {
    "llama": LlamaConfig(**SIZES),
    "llama, tied, biases": LlamaConfig(
        **SIZES, tie_word_embeddings=True, attention_bias=True, mlp_bias=True, head_dim=32
    ),
    "granite": GraniteConfig(**SIZES, **GRANITE, tie_word_embeddings=True),
    "qwen2": Qwen2Config(**SIZES, rope_parameters={"rope_theta": 1e6}),
    "starcoder2": Starcoder2Config(**SIZES),
    "gpt_bigcode": GPTBigCodeConfig(
        vocab_size=VOCAB_SIZE, n_positions=128, n_embd=64, n_layer=2, n_head=4, n_inner=96
    ),
}
QUANTIZATIONS = (Type.F32, Type.F16, Type.BF16, Type.Q8_0, Type.Q5_1, Type.Q4_1, Type.Q4_0)


def with_weights(model: PreTrainedModel, kept: dict[str, np.ndarray]) -> PreTrainedModel:
    """The model with the weights that a file holds."""
    config, state = model.config, {}
    for name, array in kept.items():
        heads = config.num_attention_heads if ".q_proj." in name else None
        heads = config.num_key_value_heads if ".k_proj." in name else heads
        if heads and config.model_type in ("llama", "granite"):
            array = unpair(array, heads)
        state[name] = torch.from_numpy(np.ascontiguousarray(array))
    model.load_state_dict(state, strict=False)
    return model


def max_difference(model_dir: Path, model: PreTrainedModel) -> float:
    ids = reference.random_ids(VOCAB_SIZE)
    return float(np.abs(Converted(model_dir).logits(ids) - reference.logits(model, ids)).max())


@pytest.mark.parametrize("name", CONFIGS)
def test_every_architecture_computes_the_same(tmp_path: Path, name: str) -> None:
    model = reference.random_causal_model(CONFIGS[name])
    file = tmp_path / "model.gguf"
    write_gguf(file, model, TOKENIZER)
    convert(file, tmp_path / "model", name="x", quantization="float32")
    assert max_difference(tmp_path / "model", model) <= 1e-4
    found = models.open_model(tmp_path / "model")
    models.verify(found)
    assert found.card["family"] == ("llama" if name.startswith(("llama", "granite")) else name)
    assert found.card["parameters"] == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("quantization", QUANTIZATIONS, ids=lambda kind: kind.name)
def test_every_quantization_computes_what_it_holds(tmp_path: Path, quantization: Type) -> None:
    model = reference.random_causal_model(CONFIGS["llama"])
    ids = reference.random_ids(VOCAB_SIZE)
    before = reference.logits(model, ids)
    file = tmp_path / "model.gguf"
    kept = write_gguf(file, model, TOKENIZER, quantization)
    convert(file, tmp_path / "model", name="x", quantization="float32")
    assert max_difference(tmp_path / "model", with_weights(model, kept)) <= 1e-4
    rounded = np.abs(reference.logits(model, ids) - before).max()
    assert (rounded == 0) == (quantization == Type.F32)


BLOCKS = (Type.Q2_K, Type.Q3_K, Type.Q4_K, Type.Q5_K, Type.Q6_K, Type.IQ4_XS, Type.IQ4_NL)


@pytest.mark.parametrize("kind", BLOCKS, ids=lambda kind: kind.name)
def test_blocks_that_the_package_cannot_write_are_read(tmp_path: Path, kind: Type) -> None:
    """Random blocks whose scales are numbers, in more pieces than one."""
    block, size = gguf.GGML_QUANT_SIZES[kind]
    rows, columns = 9, 512
    random = np.random.default_rng(kind)
    data = random.integers(0, 256, (rows, columns // block, size), np.uint8)
    scales = {Type.Q6_K: (208,), Type.Q3_K: (108,), Type.Q2_K: (80, 82)}.get(kind, (0,))
    scales = (0, 2) if kind in (Type.Q4_K, Type.Q5_K) else scales
    for at in scales:
        values = random.uniform(-2, 2, (rows, columns // block, 1)).astype("<f2")
        data[..., at : at + 2] = values.view(np.uint8)
    writer = gguf.GGUFWriter(tmp_path / "file.gguf", "llama")
    writer.add_tensor("other", np.ones(7, np.float32))
    writer.add_tensor("blocks", data.reshape(rows, -1), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    file = read_gguf(tmp_path / "file.gguf")
    expected = gguf.dequantize(data.reshape(rows, -1), kind)
    assert file.tensors["blocks"].shape == (rows, columns)
    found = file.tensors["blocks"].read()
    np.testing.assert_array_equal(found, expected)
    assert np.isfinite(found).all()
    assert found.std() > 0.1
    np.testing.assert_array_equal(file.tensors["other"].read(), np.ones(7))


def test_large_tensors_are_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.random.default_rng(0).standard_normal((50, 64)).astype(np.float32)
    writer = gguf.GGUFWriter(tmp_path / "file.gguf", "llama")
    writer.add_tensor("x", gguf.quantize(array, Type.Q8_0), raw_dtype=Type.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    whole = read_gguf(tmp_path / "file.gguf").tensors["x"].read()
    monkeypatch.setattr("santa_lsp.convert.gguf_file._PIECE", 100)  # pieces of three blocks
    np.testing.assert_array_equal(read_gguf(tmp_path / "file.gguf").tensors["x"].read(), whole)
    np.testing.assert_allclose(whole, array, atol=0.02)


def test_metadata_is_what_the_package_reads(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    more: dict[str, Any] = {"general__name": "naïve", "x__list": [1.5, 2.5], "x__yes": True}
    write_gguf(file, reference.random_causal_model(CONFIGS["llama"]), TOKENIZER, **more)
    found = read_gguf(file)
    reader = gguf.GGUFReader(file)
    fields = {key: field.contents() for key, field in reader.fields.items()}
    assert found.metadata == {
        key: value for key, value in fields.items() if not key.startswith("GGUF.")
    }
    assert [*found.tensors] == [tensor.name for tensor in reader.tensors]


def test_a_models_file_says_its_form_and_its_end(tmp_path: Path) -> None:
    model = reference.random_causal_model(CONFIGS["llama"])
    more = {"general__license": "apache-2.0", "tokenizer__ggml__fim_sep_token_id": 261}
    write_gguf(tmp_path / "model.gguf", model, TOKENIZER, **more)
    convert(tmp_path / "model.gguf", tmp_path / "model", name="x")
    card = models.open_model(tmp_path / "model").card
    assert card["prompt_format"]["form"] == "santacoder"
    assert card["prompt_format"]["tokens"]["file"] == "<fim-pad>"  # number 261
    assert card["stop_tokens"][0] == "<|endoftext|>"
    assert card["licence"] == "apache-2.0"
    assert (card["bos_token"], card["n_positions"]) == (None, 128)


def test_positions_of_llama_3_come_from_their_factors(tmp_path: Path) -> None:
    """The file's tensor of factors is all that says so; without it the model computes another."""
    scaled = {**LLAMA3, "original_max_position_embeddings": 8192, "rope_theta": 500_000.0}
    sizes = {**SIZES, "max_position_embeddings": 16_384}
    model = reference.random_causal_model(LlamaConfig(**sizes, rope_parameters=scaled))
    write_gguf(tmp_path / "plain.gguf", model, TOKENIZER)
    inverse = model.model.rotary_emb.inv_freq.numpy()
    factors = 500_000.0 ** (-np.arange(0, 16, 2) / 16) / inverse
    add_tensor(tmp_path / "plain.gguf", tmp_path / "model.gguf", "rope_freqs.weight", factors)
    convert(tmp_path / "model.gguf", tmp_path / "model", name="x", quantization="float32")
    ids = np.random.default_rng(1).integers(1, VOCAB_SIZE, (1, 600))
    expected = reference.logits(model, ids)
    assert np.abs(Converted(tmp_path / "model").logits(ids) - expected).max() <= 1e-3
    convert(tmp_path / "plain.gguf", tmp_path / "other", name="x", quantization="float32")
    assert np.abs(Converted(tmp_path / "other").logits(ids) - expected).max() > 0.1


def add_tensor(source: Path, target: Path, name: str, array: np.ndarray) -> None:
    """A copy of a file with one more tensor, its last."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
    for key, field in reader.fields.items():
        if not key.startswith("GGUF.") and key != "general.architecture":
            sub_type = field.types[1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(key, field.contents(), field.types[0], sub_type=sub_type)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.add_tensor(name, array.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def llama_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("gguf") / "model.gguf"
    write_gguf(file, reference.random_causal_model(CONFIGS["llama"]), TOKENIZER, Type.Q8_0)
    return file


def test_a_file_cut_short_anywhere_is_refused(llama_file: Path, tmp_path: Path) -> None:
    whole = llama_file.read_bytes()
    file = tmp_path / "model.gguf"
    for length in [4, 8, 20, 24, 30, 100, 1000, *range(5000, len(whole), 9_991), len(whole) - 40]:
        file.write_bytes(whole[:length])
        with pytest.raises(ConvertError, match=r"model\.gguf is cut short; download it again"):
            convert(file, tmp_path / "model", name="x")
    assert [path.name for path in tmp_path.iterdir()] == ["model.gguf"]


def test_a_damaged_header_never_ends_in_another_error(llama_file: Path, tmp_path: Path) -> None:
    """One byte changed at a time: some of the first keys' and of the rest."""
    whole = bytearray(llama_file.read_bytes())
    file = tmp_path / "model.gguf"
    random = np.random.default_rng(0)
    for at in [*range(4, 1200), *random.integers(1200, 20_000, 300).tolist()]:
        kept, whole[at] = whole[at], int(random.integers(256))
        file.write_bytes(whole)
        with suppress(ConvertError):
            open_checkpoint(file)
        whole[at] = kept


def test_parts_of_a_model_are_read_together(llama_file: Path, tmp_path: Path) -> None:
    names = [f"model-0000{number}-of-00002.gguf" for number in (1, 2)]
    reader = gguf.GGUFReader(llama_file)
    half = len(reader.tensors) // 2
    for number, tensors in enumerate((reader.tensors[:half], reader.tensors[half:])):
        writer = gguf.GGUFWriter(tmp_path / names[number], "llama")
        for key, field in reader.fields.items():
            if number == 0 and not key.startswith("GGUF.") and key != "general.architecture":
                array = field.types[0] == gguf.GGUFValueType.ARRAY
                sub_type = field.types[1] if array else None
                writer.add_key_value(key, field.contents(), field.types[0], sub_type=sub_type)
        writer.add_uint16("split.no", number)
        writer.add_uint16("split.count", 2)
        for tensor in tensors:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    convert(tmp_path, tmp_path / "model", name="x")  # the only model of the folder
    convert(llama_file, tmp_path / "whole", name="x")
    one, other = ((tmp_path / each / "model.bin").read_bytes() for each in ("model", "whole"))
    assert one == other
    with pytest.raises(ConvertError, match="is a part of 2; name the first"):
        convert(tmp_path / names[1], tmp_path / "x", name="x")
    (tmp_path / names[1]).unlink()
    with pytest.raises(ConvertError, match=f"no {names[1]}; download"):
        convert(tmp_path / names[0], tmp_path / "x", name="x")


def test_one_of_several_files_must_be_named(llama_file: Path, tmp_path: Path) -> None:
    for name in ("q4.gguf", "q8.gguf"):
        shutil.copyfile(llama_file, tmp_path / name)
    with pytest.raises(ConvertError, match=r"several GGUF files; name one of q4\.gguf, q8\.gguf"):
        convert(tmp_path, tmp_path / "model", name="x")


def test_files_beside_a_gguf_file_are_not_its_own(llama_file: Path, tmp_path: Path) -> None:
    """A folder of downloads has the README of something else."""
    shutil.copyfile(llama_file, tmp_path / "model.gguf")
    (tmp_path / "README.md").write_text("something")
    convert(tmp_path / "model.gguf", tmp_path / "one", name="x")
    assert not (tmp_path / "one" / "README.md").exists()
    convert(tmp_path, tmp_path / "two", name="x")
    assert (tmp_path / "two" / "README.md").exists()


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"general__architecture": "gemma3"}, r"'gemma3' is another.*an inference server"),
        ({"llama__expert_count": 8}, r"mixture of experts.*an inference server"),
        ({"llama__rope__scaling__type": "yarn"}, r"'yarn'.*an inference server"),
        ({"llama__block_count": 3}, r"no tensor 'blk\.2\.attn_norm\.weight'"),
        ({"llama__block_count": 1}, r"a tensor 'blk\.1\.attn_k\.weight', which is not"),
        ({"llama__block_count": None}, "no number 'num_hidden_layers'"),
        ({"llama__feed_forward_length": 97}, r"ffn_gate\.weight has the shape \[96, 64\]"),
        ({"llama__rope__dimension_count": 8}, "a part of each head"),
        ({"tokenizer__ggml__model": "llama"}, "tokenizer is 'llama', not a byte-level BPE"),
        ({"tokenizer__ggml__pre": "superbpe"}, "pre-tokenizer is 'superbpe', which is not one of"),
        ({"tokenizer__ggml__pre": None}, "pre-tokenizer is None"),
        ({"tokenizer__ggml__merges": None}, "tokenizer is damaged"),
        ({"tokenizer__ggml__merges": ["q zzz"]}, "tokenizer is damaged"),
        ({"tokenizer__ggml__tokens": None}, "tokenizer is damaged"),
        ({"tokenizer__ggml__tokens": ["a", "b"]}, "could not end|damaged"),
    ],
    ids=str,
)
def test_what_a_file_cannot_give_is_refused(
    tmp_path: Path, metadata: dict[str, Any], words: str
) -> None:
    file = tmp_path / "model.gguf"
    model = reference.random_causal_model(CONFIGS["llama"])
    write_gguf(file, model, TOKENIZER, **metadata)
    with pytest.raises(ConvertError, match=words):
        convert(file, tmp_path / "model", name="x")
    assert [path.name for path in tmp_path.iterdir()] == ["model.gguf"]


@pytest.mark.parametrize(
    ("at", "data", "words"),
    [
        (4, (1).to_bytes(4, "little"), "GGUF of version 1"),
        (4, (3).to_bytes(4, "big"), "GGUF of a big-endian machine"),
    ],
)
def test_other_kinds_of_files_are_refused(
    llama_file: Path, tmp_path: Path, at: int, data: bytes, words: str
) -> None:
    whole = bytearray(llama_file.read_bytes())
    whole[at : at + len(data)] = data
    (tmp_path / "model.gguf").write_bytes(whole)
    with pytest.raises(ConvertError, match=words):
        convert(tmp_path / "model.gguf", tmp_path / "model", name="x")


def test_unknown_quantizations_are_refused(
    llama_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(data: np.ndarray, kind: Type) -> np.ndarray:
        raise NotImplementedError

    monkeypatch.setattr("gguf.quants.dequantize", unknown)
    with pytest.raises(ConvertError, match="cannot read values of type Q8_0"):
        convert(llama_file, tmp_path / "model", name="x")
    monkeypatch.setattr("gguf.constants.GGML_QUANT_SIZES", {})
    with pytest.raises(ConvertError, match=r"a type .* that the gguf package does not know"):
        convert(llama_file, tmp_path / "model", name="x")
