"""What the benchmarks measure with: models of a shape, the same weights in GGUF, the same keys."""

from __future__ import annotations

import itertools
import json
import random
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader, dequantize
from safetensors.numpy import load_file

from benchmarks import completions, line_tasks, llama_cpp, oracle, random_model, warm_keystroke
from benchmarks.peers.santa_lsp import SantaLsp
from benchmarks.studies import scaling
from model import tokenizer
from model.corpus import Document
from santa_lsp.bench.client import Client
from santa_lsp.completion.cache import CompletionCache
from santa_lsp.completion.completer import Completer
from santa_lsp.completion.context import CompletionContext
from santa_lsp.completion.engine import Limits, Stop
from santa_lsp.engines.ctranslate2 import CTranslate2Engine
from santa_lsp.models import open_model
from santa_lsp.settings import Settings


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> random_model.RandomModel:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(random_model, "MOST_CHARACTERS", 500_000)  # a quick tokenizer
        return random_model.make(tmp_path_factory.mktemp("random"), "mini")


def test_a_random_model_goes_on_with_words(made: random_model.RandomModel) -> None:
    engine = CTranslate2Engine(open_model(made.model_dir), "cpu", threads=1)
    for prompt in ("import os\n", "def add(a, b):\n    return ", "for (int i = 0; i < 9; i++) {\n"):
        ids: list[int] = []

        def keep(token, ids=ids) -> bool:
            ids.append(token.id)
            return False

        engine.generate_tokens(engine.encode(prompt), Limits(16), keep)
        text = "".join(map(engine.text_stream(), ids))
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


def test_a_threshold_lets_through_what_is_as_sure(engine, capsys) -> None:
    context = CompletionContext("python", "a.py", "import os\nimport ", "\n", uri="a.py")
    completer = Completer(engine, Settings(min_confidence=0.0), CompletionCache())
    (said,) = completions.answer(completer, context).texts
    completions.print_thresholds(completer, iter([(context, said)] * 4), 4)
    assert "| 0.0 | 1.000 | 1.000 |" in capsys.readouterr().out


def test_a_warm_key_is_timed_beside_a_cold_one(engine) -> None:
    found = warm_keystroke.measure(engine, 64, 2)
    assert set(found) == {"cold", "warm", "beside"}
    assert all(0 < first <= last for first, last in found.values())


def said(right: float, prefix: str) -> str:
    """The oracle's text of 16 tokens at most after a prefix, without its pauses."""
    pieces: list[str] = []

    def keep(piece) -> bool:
        pieces.append(piece.text)
        return False

    context = CompletionContext("python", "a.py", prefix, "\n")
    oracle.Oracle(right).generate(context, Limits(16), keep, Stop())
    return "".join(pieces)


def test_the_oracle_says_what_a_session_types(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle.time, "sleep", lambda seconds: None)
    text = max(oracle.typed(), key=len)
    start, rest = text[:60], text[60:]
    assert said(1.0, start) == rest[: 16 * oracle.TOKEN]
    assert said(0.0, start).startswith("something_else()")


def test_counts_are_written_while_an_editor_is_served(tmp_path: Path) -> None:
    file = tmp_path / "counts.json"
    client = Client.start([sys.executable, "-m", "benchmarks.counting_server", str(file)])
    try:
        client.initialize({"minConfidence": 0})
        client.open("file:///a.py", "import os\nimport ")
        client.wait_for(client.inline_completion("file:///a.py", (1, 7)))
        until(lambda: file.exists() and json.loads(file.read_text())["requests"] == 1)
        assert client.close() == 0
    finally:
        client.kill()


def until(condition, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
