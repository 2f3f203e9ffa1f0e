from __future__ import annotations

import gzip
import json
from argparse import Namespace
from pathlib import Path

import pytest

from model.evaluate import fim, infilling
from model.evaluate.fim import Said
from model.evaluate.infilling import Gap
from model.evaluate.programs import Programs
from model.evaluate.sampling import Recorder
from model.evaluate.task import EvaluateError
from tests.model.scripted import ScriptedLocalEngine
from tests.support.forms import MIDDLE, PREFIX, SUFFIX

GAP = Gap("t", "python", "single-line", "def f(a):\n", "    b = a\n", "    return b\n")


def scores(says: str, gap: Gap = GAP) -> dict[str, float]:
    (said,) = fim.fill(Recorder(ScriptedLocalEngine(says)), [gap])
    return fim.record_of(gap, "spm greedy", said).scores


@pytest.mark.parametrize(
    ("says", "exact", "first_line", "shown"),
    [
        ("    b = a\n", 1, 1, 1),
        ("    b = a  \n    c", 0, 1, 1),
        ("\n    b = a", 1, 1, 0),
        ("    b = 1\n", 0, 0, 0),
        ("    return b\n", 0, 0, 0),
        ("", 0, 0, 0),
    ],
)
def test_exact_match_compares_stripped_text(
    says: str, exact: float, first_line: float, shown: float
) -> None:
    found = scores(says)
    assert found["exact match"] == exact
    assert found["first line match"] == first_line
    assert found["shown exact match"] == shown


def test_what_is_dropped_is_not_shown() -> None:
    (said,) = fim.fill(Recorder(ScriptedLocalEngine("    return b\n")), [GAP])
    assert said.raw == "    return b\n"
    assert said.shown is None  # the next line says it already


def test_several_lines_are_compared_whole() -> None:
    gap = Gap(
        "t", "python", "multi-line", "def f(a):\n", "    b = a\n    c = b\n", "    return c\n"
    )
    assert scores("    b = a\n    c = b\n", gap)["exact match"] == 1
    assert scores("    b = a\n    c = a\n", gap)["exact match"] == 0


@pytest.mark.parametrize("order", ["psm", "spm"])
def test_the_model_sees_prefix_and_suffix_in_the_order_asked_for(order: str) -> None:
    engine = ScriptedLocalEngine("x\n", order=order)
    list(fim.fill(Recorder(engine), [GAP]))
    prefix, suffix = list(map(ord, GAP.prefix)), list(map(ord, GAP.suffix))
    wanted = {
        "psm": [PREFIX, *prefix, SUFFIX, *suffix, MIDDLE],
        "spm": [PREFIX, SUFFIX, *suffix, MIDDLE, *prefix],
    }
    assert engine.prompts == [wanted[order]]


@pytest.mark.parametrize(
    ("said", "wanted", "distance"),
    [("kitten", "sitting", 3), ("", "abc", 3), ("same", "same", 0), ("ab", "ba", 2)],
)
def test_edit_distance(said: str, wanted: str, distance: int) -> None:
    assert fim.edit_distance(said, wanted) == distance
    longer = max(len(said), len(wanted))
    assert fim.edit_similarity(said, wanted) == pytest.approx(1 - distance / longer)
    assert fim.edit_similarity("", "") == 1


def test_gaps_with_tests_are_run() -> None:
    gap = Gap("t", "python", "single-line", "def f(a):\n", "    b = a\n", "    return b\n",
              "assert f(3) == 3\n")  # fmt: skip
    said = [Said("    b = a + 0\n", None), Said("    b = a\n  c", None), Said("    b = 1\n", None)]
    gaps = [gap] * len(said)
    records = [fim.record_of(gap, "spm greedy", each) for each in said]
    with Programs(Namespace(timeout=5, jobs=2, no_sandbox=False)) as running:
        scored = fim.run(running, gaps, said, records)
    assert [record.scores["pass@1"] for record in scored] == [1, 0, 0]
    assert [record.scores["first line pass@1"] for record in scored] == [1, 1, 0]
    assert [record.scores["exact match"] for record in scored] == [0, 0, 0]


def test_lines_are_rebuilt_from_a_solution() -> None:
    row = {
        "task_id": "JavaScript/3",
        "prompt": "const f = (a) => {\n",
        "canonical_solution": "  // doubles\n  let b = 2 * a\n\n  return b\n}\n",
    }
    gaps = list(infilling.rebuild(row, "javascript"))
    assert [gap.middle for gap in gaps] == ["  let b = 2 * a\n", "  return b\n", "}\n"]
    whole = "const f = (a) => {\n  let b = 2 * a\n\n  return b\n}\n"
    assert {gap.prefix + gap.middle + gap.suffix for gap in gaps} == {whole}


def test_sets_are_found_by_name_plain_or_compressed(tmp_path: Path) -> None:
    row = {"task_id": "a", "prompt": "p", "suffix": "s", "canonical_solution": "m"}
    x = {**row, "task_id": "Java/1", "declaration": "d"}
    del x["suffix"]
    (tmp_path / "x").mkdir()
    with gzip.open(tmp_path / "x" / "humaneval_java.jsonl.gz", "wt") as file:
        file.write(json.dumps(x) + "\n")
    (tmp_path / "HumanEval-SingleLineInfilling.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "HumanEval-MultiLineInfilling.jsonl").write_text(json.dumps(row) + "\n")
    work = infilling.load(tmp_path, "single-line", None)
    assert [gap.language for gap in work.items] == ["python", "java"]
    assert set(work.sources) == {"HumanEval-SingleLineInfilling.jsonl", "humaneval_java.jsonl.gz"}
    assert infilling.load(tmp_path, "multi-line", None).items[0].kind == "multi-line"
    assert infilling.load(tmp_path / "x" / "humaneval_java.jsonl.gz", "single-line", None).items
    with pytest.raises(EvaluateError, match="data for javascript"):
        infilling.load(tmp_path, "single-line", ["javascript"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{\n", ":1 is not JSON"),
        ('{"a": 1}\n', ":1 has no task_id and no prompt and no canonical_solution"),
        ('{"task_id": 1, "prompt": "", "canonical_solution": ""}\n', ":1 has no suffix"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.jsonl").write_text(text)
    with pytest.raises(EvaluateError, match=words):
        infilling.load(tmp_path / "a.jsonl", "single-line", None)
    (tmp_path / "a.jsonl.gz").write_text(text)
    with pytest.raises(EvaluateError, match="is damaged"):
        infilling.load(tmp_path / "a.jsonl.gz", "single-line", None)
