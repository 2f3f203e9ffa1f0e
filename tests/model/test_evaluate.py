from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from model import evaluate
from model.evaluate import Answer, EvaluateError, Task
from tests.scripted_engine import ScriptedEngine

ROOT = Path(__file__).parents[2]


TASK = Task("t", "def f(a):\n", "    return b\n", "    b = a\n")


@pytest.mark.parametrize(
    ("says", "raw", "shown"),
    [
        ("    b = a\n", True, True),
        ("    b = a  \n    c", True, True),
        ("    b = 1\n", False, False),
        ("    return b\n", False, False),
        ("", False, False),
    ],
)
def test_exact_match_compares_stripped_lines(says: str, raw: bool, shown: bool) -> None:
    (answer,) = evaluate.answers(ScriptedEngine(says), [TASK], "python")
    assert (answer.raw_matches, answer.shown_matches) == (raw, shown)


def test_what_is_dropped_is_not_shown() -> None:
    (answer,) = evaluate.answers(ScriptedEngine("    return b\n"), [TASK], "python")
    assert answer.raw == "    return b"
    assert answer.shown is None  # the next line says it already


def test_the_model_sees_prefix_and_suffix_in_its_own_order() -> None:
    engine = ScriptedEngine("x\n", order="psm")
    list(evaluate.answers(engine, [TASK], "python"))
    wanted = [2000, *map(ord, TASK.prefix), 2002, *map(ord, TASK.suffix), 2001]
    assert all(prompt == wanted for prompt in engine.prompts)


def test_summary_and_interval() -> None:
    found = [Answer("a", "x", "x", "x"), Answer("b", "x", "x", None), Answer("c", "x", "y", "y")]
    summary = evaluate.summarize(found)
    assert summary["raw_exact_match"] == pytest.approx(2 / 3)
    assert summary["shown_exact_match"] == pytest.approx(1 / 3)
    assert summary["shown_share"] == pytest.approx(2 / 3)
    # Published worked value (Newcombe 1998, Statistics in Medicine 17:857): 81 of 263.
    low, high = evaluate.wilson_interval(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    assert evaluate.wilson_interval(0, 0) == (0.0, 1.0)


def test_tasks_are_read_plain_or_compressed(tmp_path: Path) -> None:
    row = {"task_id": "t", "prompt": "a", "suffix": "b", "canonical_solution": "c"}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    with gzip.open(tmp_path / "a.jsonl.gz", "wt") as file:
        file.write(json.dumps(row) + "\n")
    for name in ("a.jsonl", "a.jsonl.gz"):
        assert evaluate.read_tasks(tmp_path / name) == [Task("t", "a", "b", "c")]


@pytest.mark.parametrize(("text", "words"), [("{", "not a file of"), ('{"a": 1}', "not a file of")])
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.jsonl").write_text(text)
    with pytest.raises(EvaluateError, match=words):
        evaluate.read_tasks(tmp_path / "a.jsonl")
    with pytest.raises(EvaluateError, match="cannot be read"):
        evaluate.read_tasks(tmp_path / "none.jsonl")


def test_the_command_runs_the_embedded_model(tmp_path: Path) -> None:
    rows = [
        {
            "task_id": str(i),
            "prompt": f"import os\nx{i} = ",
            "suffix": "\n",
            "canonical_solution": "1",
        }
        for i in range(4)
    ]
    data, out = tmp_path / "tasks.jsonl", tmp_path / "out.json"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = subprocess.run(
        [sys.executable, "-m", "model.evaluate", "fim", "--data", str(data), "--json", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "exact match" in done.stdout
    written = json.loads(out.read_text())
    assert written["summary"]["tasks"] == len(written["answers"]) == 4
