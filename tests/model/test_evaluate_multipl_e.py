from __future__ import annotations

import json
import math
from argparse import Namespace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from model.evaluate import problems, run
from model.evaluate.multipl_e import MultiPLE
from model.evaluate.problems import PYTHON_STOPS
from model.evaluate.sampling import Sampler, cut_at
from model.evaluate.statistics import pass_at_k
from model.evaluate.task import EvaluateError, Subject
from santa_lsp import EMBEDDED, models
from santa_lsp.completion.engine import Limits

SUBJECT = Subject(models.find(EMBEDDED))
HUMANEVAL = {
    "task_id": "HumanEval/0",
    "prompt": 'def add(a, b):\n    """ The sum. """\n',
    "entry_point": "add",
    "test": "def check(candidate):\n    assert candidate(1, 2) == 3\n",
}
MBPP = {
    "task_id": 11,
    "prompt": "Write a function to add.",
    "code": "import math\r\ndef half(x): return x / 2\r\ndef add(a, b=1) :\r\n  return a + b",
    "test": ["assert add(1, 2) == 3", "assert add(1) == 2"],
}
MULTIPL_E = {
    "name": "HumanEval_0_add",
    "prompt": "//The sum.\nfunction add(a, b){\n",
    "tests": "const assert = require('node:assert');\nassert.equal(add(1, 2), 3);",
    "stop_tokens": ["\nfunction ", "\n//"],
}


def arguments(data: Path, **others: Any) -> Namespace:
    values = {
        "data": data, "benchmark": None, "language": None, "samples": 2, "temperature": [0.8],
        "max_new_tokens": 8, "timeout": 5, "jobs": 2, "no_sandbox": False, "seed": 0, "limit": None,
    }  # fmt: skip
    return Namespace(**{**values, **others})


def write(path: Path, *rows: dict[str, Any]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_pass_at_k_is_the_share_of_draws_that_hold_a_pass() -> None:
    for samples in range(1, 7):
        for passed in range(samples + 1):
            for k in range(1, samples + 1):
                draws = list(combinations(range(samples), k))
                share = sum(min(draw) < passed for draw in draws) / len(draws)
                assert pass_at_k(samples, passed, k) == pytest.approx(share)
    # The product that the paper computes, 1 - prod(1 - k / i) for i in samples - passed + 1 …
    product = 1 - math.prod(1 - 100 / i for i in range(200 - 3 + 1, 201))
    assert pass_at_k(200, 3, 100) == pytest.approx(product)
    with pytest.raises(ValueError, match="pass@5"):
        pass_at_k(4, 1, 5)


def test_problems_are_read_in_each_format(tmp_path: Path) -> None:
    write(tmp_path / "HumanEval.jsonl", HUMANEVAL)
    write(tmp_path / "mbpp_test.jsonl", MBPP)
    write(tmp_path / "humaneval-js.jsonl", MULTIPL_E)
    found = {each.group: each for each in problems.load(tmp_path, None, None).items}
    assert list(found) == ["humaneval python", "humaneval javascript", "mbpp python"]
    mbpp, js = found["mbpp python"], found["humaneval javascript"]
    assert mbpp.prompt == 'def add(a, b=1):\n    """\n    Write a function to add.\n    """\n'
    assert mbpp.tests == "assert add(1, 2) == 3\nassert add(1) == 2"
    assert mbpp.stops == PYTHON_STOPS
    assert js.stops == ("\nfunction ", "\n//")
    program = found["humaneval python"].program("    return a + b\n")
    assert program.startswith(HUMANEVAL["prompt"] + "    return a + b\n\ndef check(candidate)")
    assert program.endswith("check(add)")


def test_what_cannot_be_run_is_told_before_anything_is_generated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "humaneval-js.jsonl", MULTIPL_E)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EvaluateError, match=r"Node\.js is not on this machine"):
        MultiPLE().load(arguments(tmp_path))
    with pytest.raises(EvaluateError, match="no data of mbpp in java"):
        MultiPLE().load(arguments(tmp_path, benchmark=["mbpp"], language=["java"]))
    with pytest.raises(EvaluateError, match="say what"):
        MultiPLE().load(arguments(tmp_path / "humaneval-js.jsonl"))
    write(tmp_path / "HumanEval.jsonl", {"a": 1})
    with pytest.raises(EvaluateError, match="holds no problems of"):
        MultiPLE().load(arguments(tmp_path))


def test_samples_end_at_the_first_stop() -> None:
    assert cut_at("    return 1\n\ndef f", ("\ndef", "\n#")) == "    return 1\n"
    assert cut_at("a\n# b\ndef", ("\ndef", "\n#")) == "a"
    assert cut_at("a", ("\ndef",)) == "a"
    limits = Limits(24, temperature=0.8, top_p=0.95)
    said = Sampler(SUBJECT, 0, "x").sample("def f(a):\n    return ", 40, limits, ("\n",))
    assert len(said) == 40  # more than are computed together
    assert len(set(said)) > 5
    assert not any("\n" in text for text in said)


def test_samples_are_the_same_for_the_same_seed_and_greedy_ones_as_the_server_says() -> None:
    def sample(seed: int, temperature: float) -> list[str]:
        limits = Limits(12, temperature=temperature, top_p=0.95)
        return Sampler(SUBJECT, seed, "x").sample("import ", 3, limits, ())

    assert sample(1, 0.8) == sample(1, 0.8) != sample(2, 0.8)
    text, stream = "", SUBJECT.engine.text_stream()

    def keep(token: Any) -> bool:
        nonlocal text
        text += stream(token.id)
        return False

    SUBJECT.engine.generate_tokens(SUBJECT.engine.encode("import "), Limits(12), keep)
    assert sample(0, 0.0) == [text] * 3


def test_a_prompt_longer_than_the_model_is_cut_at_its_start() -> None:
    long = "\n".join(f"x{number} = {number}" for number in range(2000))
    limits = Limits(650, temperature=0.8, top_p=0.95)
    assert len(Sampler(SUBJECT, 0, "x").sample(long, 2, limits, ("\n",))) == 2


def test_an_interrupted_run_has_the_same_samples(tmp_path: Path) -> None:
    """The second problem's samples do not depend on whether the first one's were drawn before."""
    others = [{**HUMANEVAL, "task_id": f"HumanEval/{number}"} for number in range(2)]
    write(tmp_path / "HumanEval.jsonl", *others)
    asked = arguments(tmp_path)
    work = MultiPLE().load(asked)
    file, whole = tmp_path / "a.json", tmp_path / "whole.json"
    run.run(MultiPLE(), SUBJECT, work, asked, whole)

    class Interrupted(MultiPLE):
        def rows(self, *_: Any) -> list[Any]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.run(Interrupted(), SUBJECT, work, asked, file)
    lines = run.partial_path(file).read_text().splitlines(keepends=True)
    run.partial_path(file).write_text("".join(lines[:2]))  # as after the first problem
    run.run(MultiPLE(), SUBJECT, work, asked, file)
    assert file.read_text() == whole.read_text()


def test_samples_are_run_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "HumanEval.jsonl", HUMANEVAL)
    said = ["    return a + b\n", "    return a - b\n", "    return b + a\n", "    return (\n"]
    monkeypatch.setattr(Sampler, "sample", lambda *_: said)
    asked = arguments(tmp_path)
    result = run.run(MultiPLE(), SUBJECT, MultiPLE().load(asked), asked, None)
    (record,) = result.records
    assert record.details == {"samples": 4, "passed": 2, "distinct": 4, "failed": 2}
    assert record.scores == {"pass@1": 0.5}
    assert record.texts["said, passes"] == said[0]
    assert record.texts["said, fails"] == said[1]
    assert "AssertionError" in record.texts["complaint"]
