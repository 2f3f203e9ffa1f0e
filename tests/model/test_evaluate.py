"""The frame: any task on any model, tables, results, interruption."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from model.evaluate import run as running
from model.evaluate.fim import Fim
from model.evaluate.statistics import bootstrap_interval, mean_rows, wilson_interval
from model.evaluate.task import Answer, EvaluateError, Record, Row, Subject, Workload
from santa_lsp import EMBEDDED, models

ROOT = Path(__file__).parents[2]
SUBJECT = Subject(models.find(EMBEDDED))


@dataclass(frozen=True)
class Number:
    id: str
    value: int


class Parity:
    """Numbers; the answer says whether each is even. Fails at `fails_at`."""

    name, summary, batch_size = "parity", "", 3
    fails_at: int | None = None
    asked: list[int]

    def __init__(self) -> None:
        self.asked = []

    def load(self, arguments: Namespace) -> Workload:
        return Workload([Number(str(value), value) for value in range(10)], {"numbers": "1"})

    @contextmanager
    def answering(self, subject: Subject, arguments: Namespace) -> Iterator[Answer]:
        def answer(items: Sequence[Number]) -> list[Record]:
            self.asked += [item.value for item in items]
            if self.fails_at in self.asked:
                raise KeyboardInterrupt
            return [
                Record(item.id, "all", {"even": 1.0 - item.value % 2}, item.value % 2 == 0)
                for item in items
            ]

        yield answer

    def rows(self, records: Sequence[Record], arguments: Namespace) -> list[Row]:
        return mean_rows(records, arguments.seed)


def run(task: Parity, file: Path | None, **settings: object) -> running.Result:
    arguments = Namespace(**{"seed": 0, "limit": None, **settings})
    return running.run(task, SUBJECT, task.load(arguments), arguments, file)  # type: ignore[arg-type]


def test_an_interrupted_run_goes_on_to_the_same_result(tmp_path: Path) -> None:
    whole = run(Parity(), tmp_path / "whole.json")
    task, file = Parity(), tmp_path / "a.json"
    task.fails_at = 5
    with pytest.raises(KeyboardInterrupt):
        run(task, file)
    assert not file.exists()
    with running.partial_path(file).open("a") as partial:
        partial.write('{"items": 3, "rec')  # a line that was cut short
    again = Parity()
    assert run(again, file) == whole
    assert again.asked[0] == 3  # the finished batch is not asked again
    assert file.read_text() == (tmp_path / "whole.json").read_text()
    assert not running.partial_path(file).exists()
    assert running.read_result(file) == whole


def test_a_finished_run_is_not_run_again(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    first = run(Parity(), file)
    again = Parity()
    assert run(again, file) == first
    assert again.asked == []
    run(again, file, seed=1)
    assert len(again.asked) == 10
    file.write_text("something else")
    assert run(Parity(), file) == first


def test_a_run_of_something_else_is_not_gone_on_with(tmp_path: Path) -> None:
    task, file = Parity(), tmp_path / "a.json"
    task.fails_at = 5
    with pytest.raises(KeyboardInterrupt):
        run(task, file)
    with pytest.raises(EvaluateError, match="another settings"):
        run(Parity(), file, seed=1)
    running.partial_path(file).write_text("{}\n{\n")
    with pytest.raises(EvaluateError, match="damaged"):
        run(Parity(), file)


def test_limit_spreads_evenly() -> None:
    task = Parity()
    run(task, None, limit=4)
    assert task.asked == [0, 2, 5, 7]


def test_results_of_other_programs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluateError, match="cannot be read"):
        running.read_result(tmp_path / "none.json")
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(EvaluateError, match="not a result"):
        running.read_result(tmp_path / "a.json")


def test_intervals() -> None:
    # Published worked value (Newcombe 1998, Statistics in Medicine 17:857): 81 of 263.
    low, high = wilson_interval(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    assert wilson_interval(0, 0) == (0.0, 1.0)
    values = [index / 99 for index in range(100)]
    # Of a mean of many values the percentile interval is near the normal one.
    half = 1.96 * (sum((value - 0.5) ** 2 for value in values) / 100 / 100) ** 0.5
    assert bootstrap_interval(values, 0) == pytest.approx((0.5 - half, 0.5 + half), abs=0.004)
    assert bootstrap_interval([0.5, 0.5], 0) == (0.5, 0.5)


def command(*argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "model.evaluate", *argv],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", **environment},
    )


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
    (tmp_path / "HumanEval-SingleLineInfilling.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows)
    )
    out = tmp_path / "out" / "fim.json"
    done = command("fim", "--json", str(out), SANTA_EVAL_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "exact match" in done.stdout
    result = running.read_result(out)
    assert result.run["model"]["name"] == EMBEDDED
    assert len(result.records) == 4


def write_tasks(path: Path, count: int, last_suffix: str = "\n") -> None:
    rows = [
        {"task_id": i, "prompt": f"x{i} = ", "suffix": "\n", "canonical_solution": "1"}
        for i in range(count)
    ]
    rows[-1]["suffix"] = last_suffix
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_full_disk_loses_nothing_that_was_done(tmp_path: Path) -> None:
    data, file, whole = (tmp_path / name for name in ("tasks.jsonl", "a.json", "whole.json"))
    write_tasks(data, Fim.batch_size + 1, "\n" * 200_000)  # the second batch is large
    run_it = [sys.executable, "-m", "model.evaluate", "fim", "--data", str(data)]
    run_it += ["--decoding", "paper", "--json"]
    limited = 'ulimit -f 100; "$@"'  # a file of 100 KiB is as large as it gets
    done = subprocess.run(
        ["bash", "-c", limited, "bash", *run_it, str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "error: the result cannot be written: File too large; "
        "the same command goes on where this one stopped"
    )
    assert not file.exists()
    assert len(running.whole_lines(running.partial_path(file))) == 2  # who it was, the first batch
    for name in (file, whole):
        assert subprocess.run([*run_it, str(name)], cwd=ROOT, capture_output=True).returncode == 0
    assert file.read_text() == whole.read_text()


@pytest.mark.slow
def test_ctrl_c_loses_nothing_that_was_done(tmp_path: Path) -> None:
    data, file = tmp_path / "tasks.jsonl", tmp_path / "a.json"
    write_tasks(data, 2000)
    argv = [sys.executable, "-m", "model.evaluate", "fim", "--data", str(data), "--json", str(file)]
    process = subprocess.Popen(
        argv,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        # In the background of a script, where tests may run, Ctrl-C is ignored from the start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    partial = running.partial_path(file)
    while process.poll() is None and len(running.whole_lines(partial)) < 3:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate()
    assert process.returncode == 130
    assert complaint.splitlines()[-1] == (
        "interrupted; the same command goes on where this one stopped"
    )
    assert len(running.whole_lines(partial)) >= 3


def test_an_unknown_model_is_told_in_one_line(tmp_path: Path) -> None:
    write_tasks(tmp_path / "tasks.jsonl", 1)
    done = command("fim", "--data", str(tmp_path / "tasks.jsonl"), "--model", "none")
    assert done.returncode == 1
    assert done.stderr.startswith("error: there is no model 'none'")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ((), "give --data FILE|DIR, or set SANTA_EVAL_DIR"),
        (("--data", "/no/such"), "/no/such does not exist"),
        (("--data", str(ROOT / "tests")), "has no single-line infilling data"),
        (("--data", str(ROOT / "LICENSE"), "--no-run"), "is not JSON"),
    ],
)
def test_mistakes_are_told_in_one_line(argv: tuple[str, ...], words: str) -> None:
    done = command("fim", *argv)
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
