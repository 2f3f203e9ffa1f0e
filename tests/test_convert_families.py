"""Every family computes what transformers computes: logits, greedy text, reuse of a prefix."""

from __future__ import annotations

import json
from pathlib import Path

import ctranslate2
import numpy as np
import pytest
from transformers import (
    GraniteConfig,
    LlamaConfig,
    MistralConfig,
    PretrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Starcoder2Config,
)

from santa_lsp import models
from santa_lsp.convert import ConvertError, convert
from tests.support import reference

SIZES = {
    "vocab_size": 301,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "bos_token_id": None,
    "eos_token_id": None,
}
LINEAR = {"rope_type": "linear", "factor": 4.0, "rope_theta": 100_000.0}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "rope_theta": 10_000.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
GRANITE = {
    "embedding_multiplier": 12.0,
    "attention_multiplier": 0.4,
    "residual_multiplier": 0.22,
    "logits_scaling": 0.5,
}
CONFIGS: dict[str, PretrainedConfig] = {
    "llama": LlamaConfig(**SIZES),
    "llama, tied": LlamaConfig(**SIZES, tie_word_embeddings=True),
    "llama, multi-head": LlamaConfig(**{**SIZES, "num_key_value_heads": 6}),
    "llama, one key/value head": LlamaConfig(**{**SIZES, "num_key_value_heads": 1}),
    "llama, wide heads": LlamaConfig(**SIZES, head_dim=16),
    "llama, biases": LlamaConfig(**SIZES, attention_bias=True, mlp_bias=True),
    "llama, another epsilon": LlamaConfig(**SIZES, rms_norm_eps=1e-2),
    "deepseek-coder": LlamaConfig(**SIZES, rope_parameters=LINEAR),
    "llama 3": LlamaConfig(**{**SIZES, "hidden_size": 96}, rope_parameters=LLAMA3),
    "mistral": MistralConfig(**SIZES, sliding_window=None),
    "granite": GraniteConfig(**SIZES, **GRANITE, tie_word_embeddings=True),
    "granite, biases": GraniteConfig(**SIZES, **GRANITE, attention_bias=True, mlp_bias=True),
    "qwen2": Qwen2Config(**SIZES, tie_word_embeddings=True),
    "qwen2, untied": Qwen2Config(**SIZES, rope_parameters={"rope_theta": 1e6}),
    "starcoder2": Starcoder2Config(**SIZES),
    "starcoder2, no biases": Starcoder2Config(**SIZES, use_bias=False),
}
FAMILIES = {"deepseek-coder": "llama", "granite": "llama", "mistral": "llama"}


def write(folder: Path, config: PretrainedConfig) -> PreTrainedModel:
    model = reference.random_causal_model(config)
    model.save_pretrained(folder)
    reference.write_tokenizer(folder, "underscore")
    return model


class Converted:
    """A model directory, computed by CTranslate2."""

    def __init__(self, model_dir: Path) -> None:
        self.vocabulary = json.loads((model_dir / "vocabulary.json").read_text())
        self.generator = ctranslate2.Generator(
            str(model_dir), compute_type="float32", intra_threads=1
        )

    def tokens(self, ids: list[int]) -> list[str]:
        return [self.vocabulary[i] for i in ids]

    def logits(self, ids: np.ndarray) -> np.ndarray:
        # One row at a time: the path of one key/value head takes no more.
        rows = [self.generator.forward_batch([self.tokens(row)]) for row in ids.tolist()]
        return np.concatenate([np.array(row) for row in rows])

    def generate(self, ids: list[int], new: int, static: int = 0) -> tuple[list[int], float]:
        (result,) = self.generator.generate_batch(
            [self.tokens(ids[static:])],
            static_prompt=self.tokens(ids[:static]) or None,
            max_length=new,
            sampling_topk=1,
            include_prompt_in_result=False,
            return_scores=True,
            end_token="<padding-300>",
        )
        return result.sequences_ids[0], result.scores[0]


@pytest.mark.parametrize("name", CONFIGS)
def test_a_family_computes_what_transformers_computes(tmp_path: Path, name: str) -> None:
    model = write(tmp_path / "checkpoint", CONFIGS[name])
    for quantization in ("float32", "int8"):
        convert(
            tmp_path / "checkpoint", tmp_path / quantization, name="x", quantization=quantization
        )
    # The quantized weights computed in float32: int8 products differ from processor to processor.
    exact, quantized = Converted(tmp_path / "float32"), Converted(tmp_path / "int8")
    length = 200 if name == "llama 3" else 60  # beyond the positions it was scaled from
    ids = reference.random_ids(300, length=length)
    expected = reference.logits(model, ids)
    found = exact.logits(ids)
    assert np.abs(found - expected).max() <= 1e-4
    agreement = (quantized.logits(ids).argmax(-1) == expected.argmax(-1)).mean()
    assert agreement >= 0.85

    prompt = ids[0, :40].tolist()
    text, score = exact.generate(prompt, 20)
    assert text == reference.greedy(model, prompt, 20, end=300)
    for _ in range(2):  # the second time the state of the first 30 tokens is kept
        assert exact.generate(prompt, 20, static=30) == (text, score)
    assert exact.generate([*prompt[:30], *ids[1, :10].tolist()], 20, static=30)[0] != text

    card = models.open_model(tmp_path / "float32").card
    first = name.partition(",")[0]
    assert card["family"] == FAMILIES.get(first, first.removesuffix(" 3"))
    assert card["parameters"] == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", ["llama, biases", "llama 3", "deepseek-coder", "granite", "qwen2"])
def test_an_installed_model_of_any_family_is_a_checkpoint(tmp_path: Path, name: str) -> None:
    model = write(tmp_path / "checkpoint", CONFIGS[name])
    convert(tmp_path / "checkpoint", tmp_path / "model", name="x", quantization="float32")
    convert(tmp_path / "model", tmp_path / "again", name="x", quantization="float32")
    ids = reference.random_ids(300, length=100)
    assert (
        np.abs(Converted(tmp_path / "again").logits(ids) - reference.logits(model, ids)).max()
        <= 1e-4
    )
    before, after = (models.open_model(tmp_path / each).card for each in ("model", "again"))
    differing = {key for key in before if before[key] != after.get(key)}
    assert differing <= {"sha256"}


@pytest.mark.parametrize(
    "config",
    [
        MistralConfig(**SIZES, sliding_window=24),
        Starcoder2Config(**SIZES, sliding_window=24),
        Qwen2Config(**SIZES, sliding_window=24, use_sliding_window=True, max_window_layers=0),
    ],
    ids=lambda config: config.model_type,
)
def test_a_sliding_window_bounds_the_positions(tmp_path: Path, config: PretrainedConfig) -> None:
    """CTranslate2 4.8 computes something else beyond it, if it does not fail."""
    model = write(tmp_path / "checkpoint", config)
    convert(tmp_path / "checkpoint", tmp_path / "model", name="x", quantization="float32")
    card = models.open_model(tmp_path / "model").card
    assert card["n_positions"] == 24
    assert "256 positions" in card["n_positions_note"]
    ids = reference.random_ids(300, length=24)
    found = Converted(tmp_path / "model").logits(ids)
    assert np.abs(found - reference.logits(model, ids)).max() <= 1e-4


def test_a_window_that_is_switched_off_bounds_nothing(tmp_path: Path) -> None:
    write(tmp_path / "checkpoint", Qwen2Config(**SIZES))
    config = json.loads((tmp_path / "checkpoint" / "config.json").read_text())
    values = {**config, "sliding_window": 24, "use_sliding_window": False}
    (tmp_path / "checkpoint" / "config.json").write_text(json.dumps(values))
    convert(tmp_path / "checkpoint", tmp_path / "model", name="x")
    card = models.open_model(tmp_path / "model").card
    assert card["n_positions"] == 256
    assert "n_positions_note" not in card


ELSEWHERE = r"an inference server such as llama\.cpp's can serve it"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "mixtral"}, f"mixture of experts.*{ELSEWHERE}"),
        ({"model_type": "qwen2_moe"}, f"mixture of experts.*{ELSEWHERE}"),
        ({"num_local_experts": 8}, f"mixture of experts.*{ELSEWHERE}"),
        ({"model_type": "mamba2"}, f"state-space layers.*{ELSEWHERE}"),
        ({"model_type": "gemma2"}, f"'gemma2' is another architecture.*{ELSEWHERE}"),
        ({"rope_scaling": {"type": "yarn", "factor": 4.0}}, f"by 'yarn'.*{ELSEWHERE}"),
        ({"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}, f"'dynamic'.*{ELSEWHERE}"),
        ({"rope_parameters": {"full_attention": {"rope_theta": 1e4}}}, f"different.*{ELSEWHERE}"),
        ({"rope_scaling": {"type": "linear"}}, "positions are damaged"),
        ({"quantization_config": {"quant_method": "gptq"}}, r"quantized \(gptq\)"),
        ({"hidden_act": "mish"}, "activation 'mish'"),
        ({"num_key_value_heads": 4}, "n_head 6 is not a multiple of n_kv_head 4"),
        ({"num_key_value_heads": 3}, r"k_proj.weight has the shape \[16, 48\]"),
        ({"intermediate_size": 81}, r"gate_proj.weight has the shape \[80, 48\]"),
        ({"num_hidden_layers": 3}, "no tensor 'model.layers.2.input_layernorm.weight'"),
        ({"num_hidden_layers": 1}, "a tensor 'model.layers.1.input_layernorm.weight', which is"),
        ({"attention_bias": True}, "no tensor 'model.layers.0.self_attn.q_proj.bias'"),
        ({"head_dim": 7}, "rotary positions of 7 dimensions"),
        ({"rms_norm_eps": 0}, "norm_epsilon must be a positive number"),
        ({"hidden_size": None}, "no number 'hidden_size'"),
        ({"sliding_window": "all"}, "configuration is damaged"),
        ({"num_experts": "two"}, "configuration is damaged"),
        ({"head_dim": "wide"}, "positions are damaged"),
        ({"model_type": "granite", "logits_scaling": 0}, "configuration is damaged"),
        ({"rope_scaling": [4.0]}, "configuration is damaged"),
    ],
    ids=str,
)
def test_what_a_family_cannot_hold_is_refused_with_its_reason(
    tmp_path: Path, config: dict[str, object], words: str
) -> None:
    folder = tmp_path / "checkpoint"
    write(folder, CONFIGS["llama"])
    values = json.loads((folder / "config.json").read_text())
    if "rope_scaling" in config:
        del values["rope_parameters"]
    (folder / "config.json").write_text(json.dumps({**values, **config}))
    with pytest.raises(ConvertError, match=words):
        convert(folder, tmp_path / "model", name="x")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_a_head_that_the_configuration_promises_must_be_there(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    write(folder, CONFIGS["llama, tied"])
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, "tie_word_embeddings": False}))
    with pytest.raises(ConvertError, match=r"no tensor 'lm_head\.weight'"):
        convert(folder, tmp_path / "model", name="x")
    del values["tie_word_embeddings"]  # silent: a head that is not there is the embedding
    (folder / "config.json").write_text(json.dumps(values))
    convert(folder, tmp_path / "model", name="x")


def test_a_model_without_its_head_module_is_read(tmp_path: Path) -> None:
    """AutoModel saves names without `model.`"""
    folder = tmp_path / "checkpoint"
    model = write(folder, CONFIGS["llama, tied"])
    (folder / "model.safetensors").unlink()
    model.model.save_pretrained(tmp_path / "base")
    (tmp_path / "base" / "model.safetensors").rename(folder / "model.safetensors")
    convert(folder, tmp_path / "model", name="x", quantization="float32")
    ids = reference.random_ids(300)
    found = Converted(tmp_path / "model").logits(ids)
    assert np.abs(found - reference.logits(model, ids)).max() <= 1e-4
