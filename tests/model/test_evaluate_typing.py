"""Typing real code: what is typed, what is right and what is repeated, and one run of it all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from model.evaluate import edits
from model.evaluate.edits import Typed
from model.evaluate.task import EvaluateError, Record
from model.evaluate.typing import (
    group_rows,
    has_exact_line,
    repeats_what_follows,
    type_one,
)
from santa_lsp.bench.client import Call
from santa_lsp.bench.replay import Request
from santa_lsp.bench.session import Session, Step
from santa_lsp.bench.typist import Typist
from tests.test_bench_replay import LINE, serve

ROOT = Path(__file__).parents[2]
FIRST = "import os\n\n\ndef first(items):\n    return items[0]\n"
ADDED = "\n\ndef last(items):\n    if not items:\n        return None\n    return items[-1]\n"


def commit(folder: Path, message: str) -> None:
    git = ["git", "-C", str(folder), "-c", "user.name=A", "-c", "user.email=a@example.com"]
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", message], check=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits: a file, then a function at its end and a line in its middle."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    file = tmp_path / "src" / "items.py"
    file.parent.mkdir()
    file.write_text(FIRST)
    (tmp_path / "notes.txt").write_text("nothing to type here, as it is no code\n")
    commit(tmp_path, "first")
    changed = FIRST.replace("import os\n", "import os\nimport sys\n")
    file.write_text(changed + ADDED)
    (tmp_path / "notes.txt").write_text("still nothing to type here\n")
    commit(tmp_path, "second")
    return tmp_path


def finished(item: Typed) -> str:
    typist = Typist(item.session)
    for key in typist.keystrokes():
        key.press()
    return typist.text


def test_what_a_commit_added_is_typed_into_the_file_as_it_was(repository: Path) -> None:
    items = list(edits.load(repository, 1, 0).items)
    texts = {item.session.steps[0].text: item for item in items}
    assert set(texts) == {"\nimport sys", "\n" + ADDED.removesuffix("\n")}
    whole = (repository / "src" / "items.py").read_text()
    assert {finished(item) for item in items} == {whole}
    for item in items:
        assert item.session.language == "python"
        assert item.session.text != whole


def test_no_more_is_typed_of_a_long_addition_than_a_few_lines(repository: Path) -> None:
    lines = [f"value_{number} = compute({number})" for number in range(60)]
    (repository / "long.py").write_text("\n".join(["# values", *lines]))
    commit(repository, "third")
    (item,) = edits.load(repository, 1, 3).items
    typed = item.session.steps[0].text.split("\n")[1:]
    assert 1 < len(typed) <= edits.MOST_LINES
    # What the commit added before is there; what it added after is not yet.
    assert finished(item).split("\n") == ["# values", *lines[: lines.index(typed[-1]) + 1]]


def test_a_folder_without_history_is_typed_file_by_file(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(FIRST + ADDED)
    (tmp_path / "b.js").write_text("'use strict';\n" + "const value = compute(1);\n" * 9)
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "c.js").write_text("const built = compute(1);\n" * 9)
    (tmp_path / "d.js").write_text("x" * 5000)
    found = edits.load(tmp_path, 1, 1)
    names = {item.session.file for item in found.items}
    assert names == {"a.py", "b.js"}
    for item in found.items:
        assert finished(item) == (tmp_path / item.session.file).read_text()
    assert found == edits.load(tmp_path, 1, 1)
    assert found.sources != edits.load(tmp_path, 1, 2).sources


def test_a_repository_without_anything_to_type_is_told(tmp_path: Path) -> None:
    with pytest.raises(EvaluateError, match="no folder"):
        edits.load(tmp_path / "none", 1, 0)
    with pytest.raises(EvaluateError, match="no additions"):
        edits.load(tmp_path, 1, 0)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    with pytest.raises(EvaluateError, match="git in"):
        edits.load(tmp_path, 1, 0)


def asked(text: str, shown: str, rest: str) -> Request:
    """A request with the cursor at ║ that was answered with `shown`, before `rest` was typed."""
    before, _, after = text.partition("║")
    request = Request("s", "type", before + after, len(before), rest)
    request.call, request.shown = Call(1, 0.0, replied=0.1), shown
    return request


@pytest.mark.parametrize(
    ("text", "shown", "rest", "exact"),
    [
        ("return ║", "items[0]", "items[0]\n", True),
        ("return ║", "items[0]\nx", "items[0]\ny", True),
        ("return ║", "items", "items[0]", False),
        ("f(║)", "x", "x)\ny", True),  # the editor has closed the bracket already
        ("f(║)", "x)", "x)\ny", True),
        ("if x:║", "\n    y", "\n    y\n", True),
        ("if x:║", "\n  y", "\n    y\n", False),
        ("return║", "x", "", False),
    ],
)
def test_an_exact_line_is_the_line_that_comes_to_stand_there(
    text: str, shown: str, rest: str, exact: bool
) -> None:
    assert has_exact_line(asked(text, shown, rest)) is exact


@pytest.mark.parametrize(
    ("text", "shown", "rest", "repeats"),
    [
        ("f(║)", "x)", "x)", True),
        ("def f(║)\n", "self):", "self):", True),
        ("f(║)", "g(x)", "g(x))", False),
        ("f(║)", "x", "x)", False),
        ("x = ║ + total\n", "first + total", "first", True),
        ("x = ║ + total\n", "first", "first", False),
        ("║\nreturn None\n", "x = 1\nreturn None", "x = 1", True),
        ("║\nreturn None\n", "x = 1\nreturn None", "if x:\n    return None", False),
        ("║\n}\n", "x\n}", "x", False),  # too little to be sure of
    ],
)
def test_what_follows_the_cursor_is_not_to_be_said_again(
    text: str, shown: str, rest: str, repeats: bool
) -> None:
    assert repeats_what_follows(asked(text, shown, rest)) is repeats


def test_an_addition_is_typed_and_what_is_right_taken() -> None:
    session = Session("m.py", "python", "m.py", "import os\n\n", (Step("type", LINE),))
    with serve(LINE) as client:
        record = type_one(client, Typed("m.py:2", session))
    assert record.right is True
    details = record.details
    assert (details["requests"], details["shown"], details["taken"]) == (2, 1, 1)
    assert (details["exact"], details["repeats"]) == (1, 0)
    assert (details["saved"], details["characters"]) == (len(LINE) - 1, len(LINE))
    assert details["tokens"] == 105
    assert record.scores["completed code"] == (len(LINE) - 1) / len(LINE)
    assert record.texts["shown"] == LINE[1:]


def test_shares_are_pooled_over_requests() -> None:
    def typed(requests: int, shown: int, saved: int) -> Record:
        counts = {"requests": requests, "shown": shown, "exact": shown, "repeats": 0, "taken": 1}
        sizes = {"saved": saved, "characters": 100, "tokens": 300, "ms": [1.0, 9.0]}
        return Record(f"{requests}", "python", {}, details={**counts, **sizes})

    rows = {row.metric: row for row in group_rows("all", [typed(10, 10, 20), typed(30, 0, 10)], 0)}
    shown = rows["requests that show something"]
    assert (shown.value, shown.count, shown.low, shown.high) == (0.25, 40, 0.0, 1.0)
    assert rows["of these, first line exact"].value == 1
    assert rows["completed code"].value == 0.15
    assert rows["computed for a character saved"].value == 20
    assert (rows["latency p50"].value, rows["latency p90"].value) == (1.0, 9.0)
    nothing = group_rows("python", [typed(10, 0, 0)], 0)
    assert "computed for a character saved" not in {row.metric for row in nothing}


def test_the_real_server_is_asked_and_the_table_printed(tmp_path: Path) -> None:
    (tmp_path / "items.py").write_text(FIRST + ADDED)
    result = tmp_path / "typing.json"
    argv = [sys.executable, "-m", "model.evaluate", "typing", "--repo", str(tmp_path)]
    done = subprocess.run([*argv, "--json", str(result)], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "completed code" in done.stdout
    (record,) = json.loads(result.read_text())["records"]
    assert record["details"]["requests"] == len(record["details"]["ms"]) > 5
    assert record["details"]["tokens"] > 0


def test_a_model_that_cannot_be_served_is_told(tmp_path: Path) -> None:
    (tmp_path / "items.py").write_text(FIRST + ADDED)
    argv = [sys.executable, "-m", "model.evaluate", "typing", "--repo", str(tmp_path)]
    done = subprocess.run([*argv, "--model", "none"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert "none" in done.stderr
    assert "Traceback" not in done.stderr
