"""Every family computes in torch what transformers computes, and trains, saves and counts right."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    AutoModelForCausalLM,
    GPTBigCodeConfig,
    MistralConfig,
    PretrainedConfig,
    Qwen2Config,
    Starcoder2Config,
)

from model.checkpoint import load_model, save_model
from model.train import TrainConfig
from model.train.lora import add_adapters, load_adapters, merged, save_adapters
from model.train.optimizers import make_optimizers
from model.train.speed import flops_per_token
from model.transformer import KVCache, Transformer
from tests.support import reference
from tests.test_convert_families import CONFIGS, SIZES, write

WINDOW = {"sliding_window": 24, "max_position_embeddings": 256}
BIGCODE = {"n_positions": 256, "n_embd": 48, "n_layer": 2, "n_head": 4, "vocab_size": 301}
ALL: dict[str, PretrainedConfig] = {
    **CONFIGS,
    "gpt_bigcode": GPTBigCodeConfig(**BIGCODE),
    "gpt_bigcode, others": GPTBigCodeConfig(
        **BIGCODE, activation_function="relu", scale_attn_weights=False, tie_word_embeddings=False
    ),
    "mistral, window": MistralConfig(**{**SIZES, **WINDOW}),
    "starcoder2, window": Starcoder2Config(**{**SIZES, **WINDOW}),
    "qwen2, window": Qwen2Config(
        **{**SIZES, **WINDOW}, use_sliding_window=True, max_window_layers=0
    ),
}
#: One of each family, with every kind of parameter.
SOME = ("gpt_bigcode", "llama, biases", "granite", "qwen2, untied", "starcoder2")
LORA = TrainConfig(lora_rank=4)


def logits(model: torch.nn.Module, ids: np.ndarray | torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        output = model.eval()(torch.as_tensor(ids))
    return output if isinstance(output, torch.Tensor) else output.logits


def loaded(folder: Path, name: str) -> Transformer:
    write(folder, ALL[name])
    return load_model(folder)


def step(model: Transformer, ids: np.ndarray, config: TrainConfig) -> None:
    """One of training, large enough to be seen."""
    model.train()
    rows = torch.from_numpy(ids)
    (model(rows[:, :-1], rows[:, 1:]) / rows[:, 1:].numel()).backward()
    for optimizer in make_optimizers(model, config):
        optimizer.step()


@pytest.mark.parametrize("name", ALL)
def test_a_family_goes_through_training(tmp_path: Path, name: str) -> None:
    """Loaded, it computes what transformers computes; saved after a step, transformers loads it."""
    theirs = write(tmp_path / "published", ALL[name])
    ours = load_model(tmp_path / "published")
    assert set(ours.state_dict()) == set(ours.config.architecture.tensor_shapes())
    # Beyond a window and the positions that Llama 3 was scaled from.
    ids = reference.random_ids(300, length=100)
    before = logits(ours, ids)
    torch.testing.assert_close(before, logits(theirs, ids), rtol=0, atol=1e-4)

    step(ours, ids, TrainConfig(learning_rate=1e-3))
    save_model(tmp_path / "saved", ours)
    after = logits(ours, ids)
    assert (after - before).abs().max() > 1e-3
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "saved")
    torch.testing.assert_close(logits(again, ids), after, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", [*SOME, "llama 3", "starcoder2, window"])
def test_a_cache_and_documents_change_nothing(tmp_path: Path, name: str) -> None:
    model = loaded(tmp_path, name).eval()
    ids = torch.from_numpy(reference.random_ids(300, length=70))
    with torch.inference_mode():
        whole = model(ids)
        cache = KVCache(model.config.architecture.n_layer)
        parts = [model(part, cache=cache) for part in ids.split([40, 1, 29], dim=1)]
        torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=0, atol=1e-4)
        documents = (torch.arange(70) // 35).expand(len(ids), -1)
        apart = torch.cat([model(ids[:, :35]), model(ids[:, 35:])], dim=1)
        torch.testing.assert_close(model(ids, documents=documents), apart, rtol=0, atol=1e-4)


def gradients(
    model: Transformer, ids: torch.Tensor, documents: torch.Tensor | None
) -> torch.Tensor:
    model.zero_grad()
    model(ids, ids, documents=documents).backward()
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


def test_recomputed_activations_give_the_same_gradients(tmp_path: Path) -> None:
    model = loaded(tmp_path, "starcoder2").train()
    ids = torch.from_numpy(reference.random_ids(300, length=40))
    documents = (torch.arange(40) // 15).expand(len(ids), -1)
    expected = gradients(model, ids, documents)
    model.recompute = True
    torch.testing.assert_close(gradients(model, ids, documents), expected)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling on a CPU takes a C++ compiler")
def test_compiled_parts_compute_the_same(tmp_path: Path) -> None:
    model = loaded(tmp_path, "granite").train()
    ids = torch.from_numpy(reference.random_ids(300, length=40))
    expected = gradients(model, ids, None)
    model.compile_parts()
    torch.testing.assert_close(gradients(model, ids, None), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", SOME)
def test_adapters_are_saved_loaded_and_merged(tmp_path: Path, name: str) -> None:
    model = loaded(tmp_path / "base", name)
    ids = reference.random_ids(300)
    before = logits(model, ids)
    add_adapters(model, LORA)
    torch.testing.assert_close(logits(model, ids), before)
    for _ in range(2):  # in the first step A has no gradient
        step(model, ids, TrainConfig(learning_rate=1e-2))
    expected, tensors = logits(model, ids), model.state_dict()
    assert (expected - before).abs().max() > 1e-2
    save_adapters(tmp_path / "adapter", tensors, LORA, model.config)

    again = load_model(tmp_path / "base")
    add_adapters(again, LORA)
    load_adapters(again, tmp_path / "adapter")
    for key, tensor in again.state_dict().items():
        assert torch.equal(tensor, tensors[key]), key
    plain = load_model(tmp_path / "base")
    plain.load_state_dict(merged(tensors, LORA))
    torch.testing.assert_close(logits(plain, ids), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", SOME)
def test_peft_reads_the_adapter(tmp_path: Path, name: str) -> None:
    from peft import PeftModel

    model = loaded(tmp_path / "base", name)
    add_adapters(model, LORA)
    ids = reference.random_ids(300)
    step(model, ids, TrainConfig(learning_rate=1e-2))
    save_adapters(tmp_path / "adapter", model.state_dict(), LORA, model.config)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    adapted = PeftModel.from_pretrained(theirs, str(tmp_path / "adapter"))
    torch.testing.assert_close(logits(adapted, ids), logits(model, ids), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("name", SOME)
def test_every_parameter_is_in_one_group(tmp_path: Path, name: str, optimizer: str) -> None:
    model = loaded(tmp_path, name)
    config = TrainConfig(optimizer=optimizer, weight_decay=0.1)
    names = {id(parameter): key for key, parameter in model.named_parameters()}
    found: list[str] = []
    for each in make_optimizers(model, config):
        for group in each.param_groups:
            members = [names[id(parameter)] for parameter in group["params"]]
            found += members
            vectors = [key for key in members if key.endswith("bias") or ".ln_" in f".{key}"]
            assert vectors == (members if group["weight_decay"] == 0 else [])
            if type(each).__name__ == "Muon":
                assert members == [
                    key for key in names.values() if key.startswith("h.") and key not in vectors
                    and model.get_parameter(key).dim() == 2
                ]  # fmt: skip
    assert sorted(found) == sorted(names.values())


@pytest.mark.parametrize("name", [*SOME, "llama, wide heads", "llama, tied"])
def test_operations_are_what_torch_counts(tmp_path: Path, name: str) -> None:
    model = loaded(tmp_path, name)
    length = 64
    ids = torch.from_numpy(reference.random_ids(300, rows=1, length=length))
    # torch counts the operations of attention where it is plain matrix products.
    plain = torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)
    with plain, FlopCounterMode(display=False) as counter:
        model(ids, ids).backward()
    expected = flops_per_token(model.config.architecture, length) * length
    assert counter.get_total_flops() == pytest.approx(expected, rel=1e-3)


def test_operations_with_frozen_weights(tmp_path: Path) -> None:
    model = loaded(tmp_path, "llama").requires_grad_(False)
    ids = torch.from_numpy(reference.random_ids(300, rows=1, length=64))
    model.ln_f.requires_grad_(True)
    states = model.wte(ids).requires_grad_(True)
    model.wte.register_forward_hook(lambda *_: states)
    plain = torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)
    with plain, FlopCounterMode(display=False) as counter:
        model(ids, ids).backward()
    expected = flops_per_token(model.config.architecture, 64, frozen=True) * 64
    assert counter.get_total_flops() == pytest.approx(expected, rel=1e-3)
