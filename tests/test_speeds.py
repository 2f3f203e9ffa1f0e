"""What was measured once on this machine is remembered."""

from __future__ import annotations

from pathlib import Path

import pytest

from santa_lsp import EMBEDDED, models
from santa_lsp.models import speeds
from santa_lsp.models.speeds import Measurement, fastest
from santa_lsp.settings import Settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SANTA_LSP_HOME", str(tmp_path))
    return tmp_path


def test_the_number_of_threads_that_answers_a_line_first_is_taken() -> None:
    one, two = Measurement(1, 3_000, 300), Measurement(2, 4_400, 190)
    assert fastest([one, two]) is one  # a small model: decoding counts
    one, two = Measurement(1, 100, 5), Measurement(2, 200, 10)
    assert fastest([one, two]) is two


def test_measurements_are_remembered_for_each_way_to_compute(home: Path) -> None:
    model, float32 = models.find(EMBEDDED), Settings(compute_type="float32").speed_key
    assert speeds.recall(model) == []
    measured = [Measurement(1, 3_000, 300), Measurement(2, 4_400, 190)]
    speeds.record(model, measured)
    assert speeds.recall(model) == measured
    assert speeds.recall(model, float32) == []
    speeds.record(model, measured[:1], float32)
    assert speeds.recall(model, float32) == measured[:1]
    assert speeds.recall(model) == measured


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 1}'])
def test_a_damaged_memory_is_an_empty_one(home: Path, content: str) -> None:
    model = models.find(EMBEDDED)
    (home / "speeds.json").write_text(content)
    assert speeds.recall(model) == []
    speeds.record(model, [Measurement(1, 3_000, 300)])
    assert speeds.recall(model) == [Measurement(1, 3_000, 300)]


def test_rows_of_another_version_are_measured_anew(home: Path) -> None:
    model = models.find(EMBEDDED)
    speeds.record(model, [Measurement(1, 3_000, 300)])
    file = home / "speeds.json"
    file.write_text(file.read_text().replace("decode_tokens_per_second", "decode"))
    assert speeds.recall(model) == []


def test_a_folder_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SANTA_LSP_HOME", str(tmp_path / "file"))
    speeds.record(models.find(EMBEDDED), [Measurement(1, 3_000, 300)])
    assert speeds.recall(models.find(EMBEDDED)) == []
