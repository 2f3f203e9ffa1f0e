"""Fine-tuning with adapters: what is trained, saved, merged, and read by PEFT."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from model.gpt import GPT
from model.train import Trainer
from model.train.loop import train
from tests.model.test_train_initial import fine_tuned
from tests.support.runs import trainer, weights

VALUES = ("--lora", "--set", "max_steps=8", "evaluate_every=4", "learning_rate=1e-2",
          "precision=float32")  # fmt: skip


@pytest.fixture(scope="module")
def base(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of few steps."""
    out = tmp_path_factory.mktemp("runs") / "base"
    run = trainer(out, data=packed)
    run.train_step()
    run.save()
    return out


@pytest.fixture(scope="module")
def adapted(packed: Path, base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on adapters of `base`."""
    out = tmp_path_factory.mktemp("runs") / "adapted"
    train(fine_tuned(out, base, packed, *VALUES))
    return out


def logits_of(model: torch.nn.Module) -> torch.Tensor:
    with torch.inference_mode():
        output = model(torch.arange(40)[None] * 7 % 500)
    return output if isinstance(output, torch.Tensor) else output.logits


def test_only_adapters_are_trained(packed: Path, base: Path, tmp_path: Path) -> None:
    run = fine_tuned(tmp_path / "run", base, packed, *VALUES)
    before = {name: p.detach().clone() for name, p in run.model.named_parameters()}
    torch.testing.assert_close(
        logits_of(run.model.eval()), logits_of(GPT.load(base / "checkpoint").eval())
    )
    run.model.train()
    for _ in range(2):
        run.train_step()
    for name, parameter in run.model.named_parameters():
        assert torch.equal(parameter, before[name]) != (".lora_" in name), name
    # Attention's two and the MLP's output, in two layers, A and B.
    assert sum(p.requires_grad for p in run.model.parameters()) == 3 * 2 * 2


def test_the_checkpoint_is_the_merged_model(packed: Path, adapted: Path) -> None:
    resumed: Trainer = trainer(adapted)
    merged = GPT.load(adapted / "checkpoint").eval()
    torch.testing.assert_close(
        logits_of(merged), logits_of(resumed.model.eval()), rtol=1e-4, atol=1e-4
    )
    assert not torch.allclose(logits_of(merged), logits_of(GPT.load(adapted / "base").eval()))


def test_a_resumed_run_is_bit_identical(
    packed: Path, base: Path, adapted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    first = fine_tuned(out, base, packed, *VALUES)
    for _ in range(3):  # with dropout
        first.train_step()
    first.save()
    train(trainer(out))
    for name, tensor in weights(adapted).items():
        assert torch.equal(tensor, weights(out)[name]), name


def test_the_adapter_has_pefts_names(adapted: Path) -> None:
    folder = adapted / "checkpoint" / "adapter"
    config = json.loads((folder / "adapter_config.json").read_text())
    assert (config["peft_type"], config["r"], config["lora_alpha"]) == ("LORA", 16, 32)
    assert config["target_modules"] == ["c_attn", "c_proj"]
    tensors = load_file(folder / "adapter_model.safetensors")
    assert tensors["base_model.model.transformer.h.1.mlp.c_proj.lora_A.weight"].shape == (16, 64)


@pytest.mark.slow
def test_peft_reads_the_adapter(adapted: Path) -> None:
    from peft import PeftModel
    from transformers import GPTBigCodeForCausalLM

    theirs = GPTBigCodeForCausalLM.from_pretrained(adapted / "base")
    model = PeftModel.from_pretrained(theirs, str(adapted / "checkpoint" / "adapter")).eval()
    merged = GPT.load(adapted / "checkpoint").eval()
    torch.testing.assert_close(logits_of(model), logits_of(merged), rtol=1e-3, atol=1e-4)
