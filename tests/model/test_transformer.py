"""The torch model of SantaCoder's architecture; test_families.py has the others."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from model.checkpoint import load_model, save_model
from model.transformer import KVCache, ModelConfig, Transformer
from santa_lsp.convert import ConvertError
from tests.support import reference

CONFIG = ModelConfig.santacoder(vocab_size=97, n_positions=48, n_embd=24, n_layer=3, n_head=4)


@pytest.fixture(scope="module")
def model() -> Transformer:
    torch.manual_seed(1)
    return Transformer(CONFIG).eval()


def test_one_key_value_head_serves_all_query_heads(model: Transformer) -> None:
    weight = model.get_parameter("h.0.attn.c_attn.weight")
    assert weight.shape == (24 + 2 * 6, 24)


def test_a_token_never_sees_the_future(model: Transformer) -> None:
    ids = torch.randint(0, 97, (1, 20))
    changed = ids.clone()
    changed[0, 12:] = (changed[0, 12:] + 1) % 97
    with torch.inference_mode():
        before, after = model(ids), model(changed)
    torch.testing.assert_close(before[:, :12], after[:, :12])
    assert not torch.allclose(before[:, 12:], after[:, 12:])


@pytest.mark.parametrize("chunks", [[20], [1] * 20, [7, 1, 12], [19, 1]])
def test_the_cache_changes_nothing(model: Transformer, chunks: list[int]) -> None:
    ids = torch.randint(0, 97, (2, 20))
    with torch.inference_mode():
        whole = model(ids)
        cache = KVCache(CONFIG.architecture.n_layer)
        parts = [model(part, cache=cache) for part in ids.split(chunks, dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-4, atol=1e-5)
    assert cache.length == 20


def test_greedy_generation_takes_the_most_probable_token(model: Transformer) -> None:
    prompt = [5, 6, 7]
    output = model.generate(prompt, 6)
    ids = list(prompt)
    for token in output:
        with torch.inference_mode():
            assert int(model(torch.tensor([ids]))[0, -1].argmax()) == token
        ids.append(token)
    assert len(model.generate([5] * 40, 100)) <= 8  # never past n_positions


def test_more_than_n_positions_is_an_error(model: Transformer) -> None:
    with pytest.raises(ValueError, match="n_positions"):
        model(torch.zeros(1, 49, dtype=torch.long))


def test_targets_of_minus_one_carry_no_loss(model: Transformer) -> None:
    ids = torch.randint(0, 97, (1, 10))
    targets = torch.randint(0, 97, (1, 10))
    masked = targets.clone()
    masked[0, 5:] = -1
    with torch.inference_mode():
        log_probs = model(ids).log_softmax(-1)
        expected = -log_probs[0, torch.arange(5), targets[0, :5]].sum()
        torch.testing.assert_close(model(ids, masked), expected)


def test_documents_in_one_row_do_not_see_each_other(model: Transformer) -> None:
    first, second = torch.randint(0, 97, (1, 9)), torch.randint(0, 97, (1, 13))
    row, documents = torch.cat((first, second), 1), torch.tensor([[4] * 9 + [5] * 13])
    with torch.inference_mode():
        together = model(row, documents=documents)
        apart = torch.cat((model(first), model(second)), dim=1)
        torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(model(row)[:, 9:], apart[:, 9:], rtol=1e-2)


def test_recomputed_activations_give_the_same_gradients() -> None:
    gradients = []
    for recompute in (False, True):
        torch.manual_seed(2)
        model = Transformer(CONFIG)
        model.recompute = recompute
        ids = torch.arange(20)[None] * 3 % 97
        model(ids, ids, documents=torch.tensor([[0] * 8 + [1] * 12])).backward()
        gradients.append(model.get_parameter("h.0.mlp.c_fc.weight").grad)
    torch.testing.assert_close(gradients[0], gradients[1])


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    reference.write_tokenizer(tmp_path)
    end_of_text = Tokenizer.from_file(str(tmp_path / "tokenizer.json")).token_to_id("<|endoftext|>")
    config = dataclasses.replace(CONFIG, eos_token_id=end_of_text, path_comment=True)
    model = Transformer(config).eval()
    save_model(tmp_path, model)
    loaded = load_model(tmp_path).eval()
    assert loaded.config == model.config
    ids = torch.randint(0, 97, (1, 10))
    with torch.inference_mode():
        torch.testing.assert_close(loaded(ids), model(ids), rtol=0, atol=0)


def test_the_files_are_gpt_bigcodes(model: Transformer, tmp_path: Path) -> None:
    save_model(tmp_path, model)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["model_type"] == "gpt_bigcode"
    assert config["activation_function"] == "gelu_pytorch_tanh"
    assert config["multi_query"] is True
    names = set(load_file(tmp_path / "model.safetensors"))
    layer = {
        f"transformer.h.0.{part}.{kind}"
        for part in ("ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj")
        for kind in ("weight", "bias")
    }
    assert layer <= names
    assert {"transformer.wte.weight", "transformer.wpe.weight", "transformer.ln_f.bias"} <= names
    assert "lm_head.weight" not in names


@pytest.mark.parametrize("values", [{"n_layer": 4}, {"n_embd": 32}, {"multi_query": False}])
def test_weights_that_do_not_fit_are_refused(
    model: Transformer, tmp_path: Path, values: dict[str, object]
) -> None:
    reference.write_tokenizer(tmp_path)
    save_model(tmp_path, model)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **values}))
    with pytest.raises(ConvertError, match=r"no tensor|the checkpoint's configuration asks for"):
        load_model(tmp_path)


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match="multiple of n_head"):
        ModelConfig.santacoder(vocab_size=9, n_positions=9, n_embd=10, n_layer=1, n_head=3)


def test_positions_start_as_a_line_that_training_need_not_discover() -> None:
    """What two positions have in common depends on how far apart they are, not on where."""
    positions = Transformer(CONFIG).wpe.weight.detach()
    products = positions @ positions.T
    for offset in (0, 1, 5):
        diagonal = products.diagonal(offset)
        assert torch.allclose(diagonal, diagonal[:1].expand_as(diagonal), rtol=1e-3, atol=1e-7)
    assert products[10, 10] > products[10, 11] > products[10, 14]
    assert positions.pow(2).mean().sqrt().item() == pytest.approx(0.02, rel=0.1)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling on a CPU takes a C++ compiler")
def test_compiled_parts_compute_the_same() -> None:
    torch.manual_seed(0)
    model = Transformer(CONFIG)
    ids = torch.randint(0, CONFIG.architecture.vocab_size, (2, 33))
    targets = ids[:, 1:].clone()
    targets[0, :5] = -1
    gradients = []
    for _ in range(2):
        loss = model(ids[:, :-1], targets)
        loss.backward()
        gradients.append((loss.detach(), model.wte.weight.grad.clone()))
        model.zero_grad()
        model.compile_parts()
    for plain, compiled in zip(*gradients, strict=True):
        assert torch.allclose(plain, compiled, rtol=1e-4, atol=1e-5)
