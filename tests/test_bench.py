"""`santa-lsp bench`: its figures, its mistakes told, and a few seconds of the real server."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from santa_lsp.bench import memory
from santa_lsp.bench.figures import SORTS, add, figures, percentile
from santa_lsp.bench.replay import FAST, Replay
from santa_lsp.bench.session import parse
from santa_lsp.bench.table import comparison, report
from santa_lsp.commands.main import main
from tests.test_bench_replay import LINE, serve

ROOT = Path(__file__).parents[1]
SCRIPTED = f"{sys.executable} -m tests.support.bench_server"


def bench(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str, str]:
    """Exit status, stdout and stderr of the command."""
    with pytest.raises(SystemExit) as ended:
        main(["bench", *arguments])
    return (ended.value.code, *capsys.readouterr())


def test_percentiles_are_the_nearest_rank() -> None:
    values = [float(n) for n in range(100, 0, -1)]
    assert [percentile(values, share) for share in (0.5, 0.9, 0.99, 1.0)] == [50, 90, 99, 100]
    assert percentile([7.0], 0.5) == 7


def test_figures_follow_the_servers_own_account() -> None:
    source = f"language: python\nfile: a.py\n== text\nimport os\n== steps\n:: type\n{LINE}\n"
    with serve(LINE) as client:
        before = client.statistics()
        replay = Replay(client, parse("test", source), FAST)
        for _ in replay.play():
            pass
    found = figures(replay.requests, before)
    count = len(LINE)
    assert (found["requests"], found["cancelled"], found["shown"]) == (count, 0, count - 1)
    sizes = {name: len(values) for name, values in found["ms"].items()}
    assert sizes["cold"] == sizes["warm"] == sizes["prefetched"] == sizes["none"] == 1
    assert sizes["typed through"] == count - 4
    assert sum(sizes[sort] for sort in SORTS if sort in sizes) == count
    assert sizes["first text"] == 2  # of the two that the model was asked for
    assert found["ms"]["wait for the model"] == [2.5, 2.5]
    assert found["from cache"] == count - 3
    assert (found["cold keystrokes"], found["accounted"]) == (1, count)
    assert found["tokens"]["prefilled"] == 104
    twice = add(add({}, found), found)
    assert twice["requests"] == 2 * count
    assert twice["ms"]["cold"] == 2 * found["ms"]["cold"]
    assert twice["tokens"]["prefilled"] == 208


def test_two_runs_are_compared_row_by_row() -> None:
    def run(*ms: float) -> dict[str, Any]:
        return {
            "server": "s",
            "model": "m",
            "machine": {"processor": "p", "cores": 2, "system": "Linux"},
            "memory": {"peak": 10**8},
            "start": {"start to initialize reply": list(ms)},
        }

    other = {**run(20.0, 30.0), "cancel": {"cancel to reply": [1.0]}}
    text = comparison(run(10.0, 30.0), other, "other.json")
    row = next(line for line in text.splitlines() if "initialize" in line)
    assert row.split()[-6:] == ["10.0", "20.0", "0.50", "30.0", "30.0", "1.00"]
    assert "cancel to" not in text  # only the other has it
    assert "peak memory of the server: 100 MB" in report(run(1.0))


def test_memory_of_a_process_is_known() -> None:
    held, most = memory.resident(os.getpid()), memory.peak(os.getpid())
    assert held is not None
    assert most is not None
    assert 10**6 < held <= most * 1.01


def test_the_real_server_is_benched_and_drawn(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    written, drawn = tmp_path / "run.json", tmp_path / "run.svg"
    files = ("--json", str(written), "--plot", str(drawn))
    status, printed, told = bench(capsys, "--session", "python", "--minutes", "0.02", *files)
    assert status == 0, told
    for words in ("at a person's pace", "as fast as it answers", "peak memory", "santa-mini"):
        assert words in printed
    result = json.loads(written.read_text())
    assert result["paces"]["fast"]["requests"] > 0
    assert result["paces"]["fast"]["tokens"]["prompt"] > 0
    assert result["paces"]["fast"]["cancelled"] == 0
    assert min(result["start"]["start to first completion"]) > 0
    assert "cancel" in result
    assert result["memory"]["peak"] > 10**7
    assert str(ROOT) not in json.dumps(result)
    assert drawn.stat().st_size < 100_000
    words = [element.text or "" for element in ElementTree.fromstring(drawn.read_text()).iter()]
    assert any("as fast as it answers" in each for each in words)
    assert any("start to initialize reply" in each for each in words)


def test_a_soak_tells_the_memory_and_draws_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    drawn = tmp_path / "soak.svg"
    arguments = ("--soak", "600", "--server", SCRIPTED, "--plot", str(drawn))
    status, printed, told = bench(capsys, *arguments)
    assert status == 0, told
    assert "after    600 keys in 20 files" in printed
    assert "prefix cache" in "".join(ElementTree.fromstring(drawn.read_text()).itertext())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--session", "cobol"], "there are java, javascript, python"),
        (["--compare", "nowhere.json"], "cannot be read"),
        (["--compare", "README.md"], "is not JSON"),
        (["--compare", "santa_lsp/data/santa-mini/santa.json"], "was not written by"),
        (["--json", "no/such/folder/run.json"], "there is no folder"),
        (["--server", "no-such-server"], "no-such-server cannot be started"),
        (["--server", f"{SCRIPTED} --die 1"], "out of words"),
        (["--model", "no-such-model"], "no-such-model"),
    ],
)
def test_what_goes_wrong_is_told(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(ROOT)
    status, _, told = bench(capsys, "--minutes", "0.01", *arguments)
    assert words in f"{status}{told}"
    assert status not in (0, None)


def test_time_without_an_end_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(capsys, "--minutes", "0")[0] == 2
