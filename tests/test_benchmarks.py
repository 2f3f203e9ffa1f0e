"""What the benchmarks measure with: models of a shape, the same weights in GGUF, the same keys."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader, dequantize
from safetensors.numpy import load_file

from benchmarks import completions, line_tasks, llama_cpp, random_model, scaling
from benchmarks.peers.santa_lsp import SantaLsp
from model import tokenizer
from model.corpus import Document
from santa_lsp.completion.engine import GenerationParameters
from santa_lsp.engines.ctranslate2 import CTranslate2Engine
from santa_lsp.models import open_model


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> random_model.RandomModel:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(random_model, "MOST_CHARACTERS", 500_000)  # a quick tokenizer
        return random_model.make(tmp_path_factory.mktemp("random"), "mini")


def test_a_random_model_goes_on_with_words(made: random_model.RandomModel) -> None:
    engine = CTranslate2Engine(open_model(made.model_dir), "cpu", threads=1)
    for prompt in ("import os\n", "def add(a, b):\n    return ", "for (int i = 0; i < 9; i++) {\n"):
        ids: list[int] = []
        stream = engine.text_stream()

        def keep(token, ids=ids) -> bool:
            ids.append(token.id)
            return False

        engine.generate(engine.encode(prompt), GenerationParameters(max_new_tokens=16), keep)
        text = "".join(map(stream.step, ids))
        assert len(ids) == 16
        assert len(set(ids)) > 6
        assert "\n" not in text
        assert text.replace(" ", "").isalpha()


def test_gguf_holds_the_checkpoint(made: random_model.RandomModel) -> None:
    reader = GGUFReader(made.gguf)
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    weights = load_file(made.checkpoint / "model.safetensors")
    assert len(tensors) == len(weights)
    pairs = {
        "token_embd.weight": "transformer.wte.weight",
        "blk.3.attn_qkv.weight": "transformer.h.3.attn.c_attn.weight",
        "blk.0.ffn_down.bias": "transformer.h.0.mlp.c_proj.bias",
        "output_norm.weight": "transformer.ln_f.weight",
    }
    for theirs, ours in pairs.items():
        found = tensors[theirs]
        array = dequantize(found.data, found.tensor_type)
        wanted = weights[ours].astype(np.float32)
        assert np.abs(array - wanted).max() <= np.abs(wanted).max() / 127
    assert reader.fields["starcoder.attention.head_count_kv"].contents() == 1
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    middle = reader.fields["tokenizer.ggml.fim_mid_token_id"].contents()
    assert tokens[middle] == "<fim-middle>"


def test_keys_are_typed_in_a_file_that_fits(made: random_model.RandomModel) -> None:
    tokens = tokenizer.load(made.checkpoint / "tokenizer.json")
    states = list(itertools.islice(llama_cpp.keystrokes("python", tokens, 300), 8))
    for prefix, suffix in states:
        assert len(tokens.encode(prefix).ids) + len(tokens.encode(suffix).ids) < 330
    assert "".join(states[-1]) != "".join(states[0])
    typed = states[-1][0].removeprefix(states[0][0])
    assert typed.strip()
    assert states[-1][1] == states[0][1]


class _Bar:
    def update(self) -> None:
        pass


def test_our_process_computes_all_tokens_for_a_key(made: random_model.RandomModel) -> None:
    tokens = tokenizer.load(made.checkpoint / "tokenizer.json")
    states = list(itertools.islice(llama_cpp.keystrokes("python", tokens, 300), 6))
    with SantaLsp(made.model_dir, threads=1, tokens=llama_cpp.TOKENS) as peer:
        samples = llama_cpp.play(peer, states, 0.0, _Bar())
    for phase, count in (("cold", llama_cpp.COLD_FILES + 1), ("warm", 5)):
        assert len(samples[phase]) == count
        # None is computed where chance has let a key be typed through.
        full = sum(s.generated_tokens == llama_cpp.TOKENS for s in samples[phase])
        assert full > count / 2
        assert all(0 < s.first_ms <= s.total_ms for s in samples[phase])
    found = {phase: llama_cpp.figures(some) for phase, some in samples.items()}
    table = llama_cpp.table({"santa-lsp": found, "other": found})
    assert table.count("×1.00") == 8


def test_the_curve_through_runs_is_the_one_they_lie_on() -> None:
    points = [
        scaling.Point("run", 1, 1, flops, {"python": 0.5 + 3e3 * flops**-0.25})
        for flops in (1e13, 1e14, 1e15)
    ]
    a, b = scaling.fit(points, 0.5)
    assert (a, b) == (pytest.approx(3e3), pytest.approx(0.25))
    assert scaling.fit(points, 0.0)[1] < 0.25  # with nothing that stays, a flatter one


def test_lines_become_tasks_that_are_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("# a comment\ndef f(a):\n    return a + 1\nx\n")
    found = list(line_tasks.gaps(file, "a.py", random.Random(0)))
    assert [kind for kind, _ in found] == ["whole", "rest"] * 2  # two lines hold enough code
    for kind, task in found:
        text = task["prompt"] + task["canonical_solution"] + task["suffix"]
        assert text == file.read_text()
        assert task["prompt"].endswith(("\n", "    ")) == (kind == "whole")


def test_a_place_takes_the_rest_of_a_line_of_code_away() -> None:
    document = Document("# words\n\nvalue = compute(1)\n", "python", "p", "1", "test", None, "a.py")
    rng = random.Random(0)
    found = [each for each in (completions.place(document, rng) for _ in range(200)) if each]
    assert 20 < len(found) < 100  # comments and blank lines are no places
    for context, wanted in found:
        assert context.prefix + wanted + context.suffix == document.text
        assert context.line_prefix + wanted == "value = compute(1)"
