"""Every published format and variant computes what transformers computes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import ctranslate2
import numpy as np
import pytest
import torch

from santa_lsp import models
from santa_lsp.convert import ConvertError, convert
from santa_lsp.families.forms import SPM
from tests.support import reference

Model = reference.GPTBigCodeForCausalLM


def max_difference(checkpoint: Path, model: Model) -> float:
    """Convert to float32 and compare logits with transformers."""
    output = convert(checkpoint, checkpoint.parent / "model", name="x", quantization="float32")
    ids = reference.random_ids(model.config.vocab_size)
    difference = np.abs(converted_logits(output, ids, "float32") - reference.logits(model, ids))
    return float(difference.max())


def converted_logits(model_dir: Path, ids: np.ndarray, compute_type: str) -> np.ndarray:
    vocabulary = json.loads((model_dir / "vocabulary.json").read_text())
    generator = ctranslate2.Generator(str(model_dir), compute_type=compute_type, intra_threads=1)
    tokens = [[vocabulary[i] for i in row] for row in ids.tolist()]
    return np.array(generator.forward_batch(tokens, return_log_probs=False))


def write_single_safetensors(model: Model, folder: Path) -> None:
    model.save_pretrained(folder)
    assert (folder / "model.safetensors").is_file()


def write_sharded_safetensors(model: Model, folder: Path) -> None:
    model.save_pretrained(folder, max_shard_size="100KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1


def write_single_bin(model: Model, folder: Path) -> None:
    reference.write_config(folder, reference.config_values(model))
    torch.save(model.state_dict(), folder / "pytorch_model.bin")


def write_sharded_bin(model: Model, folder: Path) -> None:
    reference.write_config(folder, reference.config_values(model))
    weight_map = {}
    state = reference.weights(model)
    for number, names in enumerate(np.array_split(list(state), 3), start=1):
        file = f"pytorch_model-{number:05}-of-00003.bin"
        torch.save({str(name): state[name] for name in names}, folder / file)
        weight_map.update(dict.fromkeys(map(str, names), file))
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))


def write_custom_bin(model: Model, folder: Path) -> None:
    reference.write_config(folder, reference.custom_config(model))
    torch.save(reference.custom_weights(model), folder / "pytorch_model.bin")


def write_custom_safetensors(model: Model, folder: Path) -> None:
    from safetensors.torch import save_file

    reference.write_config(folder, reference.custom_config(model))
    save_file(reference.custom_weights(model), folder / "model.safetensors")


def write_split_attention(model: Model, folder: Path) -> None:
    """Linear layers, but q_attn and kv_attn apart: a square q_attn alone tells nothing."""
    reference.write_config(folder, reference.config_values(model))
    state, width = reference.weights(model), model.config.n_embd
    for name in [name for name in state if ".c_attn." in name]:
        tensor = state.pop(name)
        state[name.replace("c_attn", "q_attn")] = tensor[:width]
        state[name.replace("c_attn", "kv_attn")] = tensor[width:]
    torch.save(state, folder / "pytorch_model.bin")


def write_megatron(model: Model, folder: Path) -> None:
    """A run's folder with two iterations, the older of which is broken, and a config.json."""
    for iteration in (500000, 600000):
        (folder / f"iter_{iteration:07}" / "mp_rank_00").mkdir(parents=True)
    (folder / "iter_0500000" / "mp_rank_00" / "model_optim_rng.pt").write_bytes(b"old")
    torch.save(
        reference.megatron_checkpoint(model),
        folder / "iter_0600000" / "mp_rank_00" / "model_optim_rng.pt",
    )
    reference.write_config(folder, reference.config_values(model))


FORMATS = [
    write_single_safetensors,
    write_sharded_safetensors,
    write_single_bin,
    write_sharded_bin,
    write_custom_bin,
    write_custom_safetensors,
    write_megatron,
]
VARIANTS = {
    "plain": {},
    "multi-head": {"multi_query": False},
    "one head": {"n_head": 1},
    "untied": {"tie_word_embeddings": False},
    "odd sizes": {"n_embd": 100, "n_head": 5, "n_inner": 77, "vocab_size": 263, "n_positions": 61},
    "epsilon": {"layer_norm_epsilon": 1e-2},
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("write", FORMATS)
def test_every_format_and_variant_computes_the_same(
    tmp_path: Path, write: Callable[[Model, Path], None], variant: str
) -> None:
    model = reference.random_model(**VARIANTS[variant])
    reference.write_tokenizer(tmp_path / "checkpoint")
    write(model, tmp_path / "checkpoint")
    assert max_difference(tmp_path / "checkpoint", model) <= 1e-4
    parameters = models.open_model(tmp_path / "model").card["parameters"]
    assert parameters == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    "config",
    [
        {"activation_function": name}
        for name in ("gelu", "gelu_new", "gelu_fast", "quick_gelu", "relu", "silu")
    ]
    + [{"scale_attn_weights": False}, {"n_head": 2, "n_inner": 64}],
    ids=str,
)
def test_every_activation_and_scale_computes_the_same(
    tmp_path: Path, config: dict[str, object]
) -> None:
    model = reference.random_model(**config)
    reference.write_tokenizer(tmp_path / "checkpoint")
    write_single_safetensors(model, tmp_path / "checkpoint")
    assert max_difference(tmp_path / "checkpoint", model) <= 1e-4


def test_linear_layers_with_split_attention_are_told_from_conv1d(tmp_path: Path) -> None:
    model = reference.random_model()
    reference.write_tokenizer(tmp_path / "checkpoint")
    write_split_attention(model, tmp_path / "checkpoint")
    assert max_difference(tmp_path / "checkpoint", model) <= 1e-4


def test_square_matrices_alone_are_refused(tmp_path: Path) -> None:
    model = reference.random_model(n_head=2, n_inner=64)
    reference.write_tokenizer(tmp_path / "checkpoint")
    write_custom_bin(model, tmp_path / "checkpoint")
    with pytest.raises(ConvertError, match=r"\[in, out\] or \[out, in\]"):
        convert(tmp_path / "checkpoint", tmp_path / "model", name="x")


def test_megatron_arguments_stand_in_for_a_config(tmp_path: Path) -> None:
    """The run's folder, one iteration, one rank or the file itself; padding rows stay."""
    model = reference.random_model(layer_norm_epsilon=1e-3)
    folder = tmp_path / "checkpoint"
    write_megatron(model, folder)
    (folder / "config.json").unlink()
    rank = folder / "iter_0600000" / "mp_rank_00"
    ids = reference.random_ids(model.config.vocab_size)
    expected = reference.logits(model, ids)
    for number, path in enumerate((folder, rank.parent, rank, rank / "model_optim_rng.pt")):
        reference.write_tokenizer(path if path.is_dir() else path.parent)
        output = convert(path, tmp_path / f"model{number}", name="x", quantization="float32")
        found = converted_logits(output, ids, "float32")
        assert found.shape[-1] == model.config.vocab_size + 19
        assert np.abs(found[..., : model.config.vocab_size] - expected).max() <= 1e-4


def test_the_latest_iteration_is_the_one_that_the_run_names(tmp_path: Path) -> None:
    model = reference.random_model()
    folder = tmp_path / "checkpoint"
    reference.write_tokenizer(folder)
    write_megatron(model, folder)
    (folder / "latest_checkpointed_iteration.txt").write_text("500000\n")
    with pytest.raises(ConvertError, match="iter_0500000"):
        convert(folder, tmp_path / "model", name="x")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("write", [write_single_safetensors, write_single_bin])
def test_other_float_types_are_read(
    tmp_path: Path, dtype: torch.dtype, write: Callable[[Model, Path], None]
) -> None:
    model = reference.random_model().to(dtype)
    reference.write_tokenizer(tmp_path / "checkpoint")
    write(model, tmp_path / "checkpoint")
    assert max_difference(tmp_path / "checkpoint", model.float()) <= 1e-4


@pytest.mark.parametrize(
    ("quantization", "most"),
    [("float16", 0.1), ("bfloat16", 0.6), ("int8", 0.6), ("int8_float16", 0.6)],
)
def test_quantizations_stay_near(tmp_path: Path, quantization: str, most: float) -> None:
    """Logits have a standard deviation of 4; greatest differences here."""
    model = reference.random_model()
    reference.write_tokenizer(tmp_path / "checkpoint")
    write_single_safetensors(model, tmp_path / "checkpoint")
    output = convert(
        tmp_path / "checkpoint", tmp_path / "model", name="x", quantization=quantization
    )
    ids = reference.random_ids(model.config.vocab_size)
    expected = reference.logits(model, ids)
    assert np.abs(converted_logits(output, ids, "float32") - expected).max() < most
    full = convert(tmp_path / "checkpoint", tmp_path / "full", name="x", quantization="float32")
    assert models.open_model(output).size < 0.7 * models.open_model(full).size


@pytest.mark.parametrize(
    ("dialect", "form"), [("hyphen", "santacoder"), ("underscore", "starcoder"), ("none", None)]
)
def test_the_form_is_found(tmp_path: Path, dialect: str, form: str | None) -> None:
    model = reference.random_model()
    write_single_safetensors(model, tmp_path / "checkpoint")
    reference.write_tokenizer(tmp_path / "checkpoint", dialect)
    found = models.open_model(convert(tmp_path / "checkpoint", tmp_path / "model", name="x"))
    if form is None:
        assert found.prompt_format is None
    else:
        assert found.prompt_format is not None
        assert found.prompt_format["form"] == form
        assert found.prompt_format["order"] == list(SPM)  # both were taught it


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda saved: saved.update(checkpoint_version=1.0), "checkpoint_version is below 2"),
        (lambda saved: setattr(saved["args"], "swiglu", True), "swiglu"),
        (lambda saved: setattr(saved["args"], "position_embedding_type", "rope"), "not absolute"),
        (lambda saved: saved.pop("args"), "no args"),
        (lambda saved: saved["model"].pop("language_model"), "no 'language_model'"),
        (
            lambda saved: saved["model"]["language_model"]["encoder"].update(
                {"x.weight": torch.ones(1)}
            ),
            "tensor 'encoder.x.weight', which is not supported",
        ),
    ],
)
def test_unsupported_megatron_checkpoints_are_refused(
    tmp_path: Path, change: Callable[[dict[str, object]], None], words: str
) -> None:
    saved = reference.megatron_checkpoint(reference.random_model(multi_query=False))
    change(saved)
    reference.write_tokenizer(tmp_path / "checkpoint")
    torch.save(saved, tmp_path / "checkpoint" / "model_optim_rng.pt")
    with pytest.raises(ConvertError, match=words):
        convert(tmp_path / "checkpoint", tmp_path / "model", name="x")


def test_parallel_ranks_are_refused(tmp_path: Path) -> None:
    for rank in ("mp_rank_00", "mp_rank_01"):
        (tmp_path / "iter_0000001" / rank).mkdir(parents=True)
    with pytest.raises(ConvertError, match="2 parallel ranks"):
        convert(tmp_path, tmp_path / "model", name="x")
