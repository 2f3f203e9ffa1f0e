"""From a folder of sources to a served completion, by the commands of model/README.md."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.support.lsp_client import LspClient

ROOT = Path(__file__).parents[2]


def run(*argv: str) -> str:
    # One thread: two that wait for each other on a busy machine are many times slower.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *argv], cwd=ROOT, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_model_is_trained_exported_evaluated_and_served(tmp_path: Path) -> None:
    corpus, data, out, model = (str(tmp_path / name) for name in ("corpus", "data", "run", "model"))
    tokenizer = str(tmp_path / "tokenizer.json")
    sources = tmp_path / "sources"
    sources.mkdir()
    random = Random(0)
    for number in range(120):
        # Words of its own keep a file from being left out as a near duplicate.
        words = " ".join(
            "".join(random.choices("abcdefghij", k=random.randint(2, 6))) for _ in range(15)
        )
        body = "".join(
            f"    def set_{name}_{number}(self, {name}):\n        # keeps the {name}\n"
            f"        self.{name} = {name}\n        return self.{name}\n\n"
            for name in ("width", "height", "depth", "weight")
        )
        text = f"class Shape{number}:\n{body}\n# {words}\n"
        (sources / f"shape_{number}.py").write_text(text)
    run("model.corpus", "build", corpus, "--from-dir", str(sources))
    run("model.tokenizer", corpus, tokenizer, "--vocab-size", "400")
    run("model.data", corpus, data, "--tokenizer", tokenizer, "--n-positions", "256",
        "--fim-rate", "1", "--spm-rate", "1", "--line-rate", "1", "--epochs", "6")  # fmt: skip
    config = tmp_path / "config.toml"
    config.write_text(
        "n_layer = 2\nn_head = 2\nn_embd = 64\nbatch_size = 4\nlearning_rate = 8e-3\n"
        "warmup_steps = 20\nmax_steps = 1200\nevaluate_every = 600\nvalidation_rows = 8\n"
    )
    run("model.train", "--config", str(config), "--data", data, "--out", out)
    assert "float32 logits differ" in run("model.export", out, model, "--name", "shapes")
    tasks = tmp_path / "tasks.jsonl"
    rows = [
        {
            "task_id": str(number),
            "prompt": f"class Shape{number}:\n    def set_width_{number}(self, width):\n"
            "        # keeps the width\n        ",
            "suffix": "\n        return self.width\n",
            "canonical_solution": "self.width = width",
        }
        for number in range(20, 120, 5)
    ]
    tasks.write_text("".join(json.dumps(row) + "\n" for row in rows))
    written = tmp_path / "result.json"
    run("model.evaluate", "fim", "--data", str(tasks), "--model", model, "--json", str(written))
    figures = json.loads(written.read_text())["rows"]
    assert next(row["value"] for row in figures if row["metric"] == "first line match") > 0.5

    argv = [sys.executable, "-m", "santa_lsp", "--stdio", "--model", model]
    with LspClient.start(argv) as client:
        client.initialize(options={"minConfidence": 0})
        text = rows[0]["prompt"] + rows[0]["suffix"]
        client.open("file:///shape.py", text)
        request = client.inline_completion("file:///shape.py", (3, 8), context={"triggerKind": 1})
        assert client.result(request)["items"][0]["insertText"].startswith("self.width = width")
        assert client.close() == 0
