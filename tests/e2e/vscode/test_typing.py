"""What a user sees who types, with the embedded model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.vscode.conftest import PICTURES
from tests.e2e.vscode.editor import Editor, until

pytestmark = pytest.mark.editor

POINT = """class Point:
    def __init__(self, x, y):
        self.x = x
"""


@pytest.fixture
def point(tmp_path: Path) -> Path:
    file = tmp_path / "point.py"
    file.write_text(POINT)
    return file


def test_tab_takes_what_is_suggested(window: Callable[..., Editor], point: Path) -> None:
    editor = window()
    editor.open(point.parent, point)
    editor.type("        self.y")
    shown = editor.suggestion()
    editor.screenshot(PICTURES / "vscode-suggestion.png")
    editor.press("Tab")
    assert editor.saved().decode() == f"{POINT}        self.y{shown}"
    editor.press("Control+Z")  # what was taken goes in one step
    assert editor.saved().decode() == f"{POINT}        self.y"
    assert "unknown setting" not in editor.server.log_of_extension()


def test_there_are_candidates_to_choose_from(window: Callable[..., Editor], point: Path) -> None:
    editor = window({"santa.candidates": 3})
    editor.open(point.parent, point)
    editor.type("        self.y")
    first = editor.suggestion()
    editor.press("Alt+]")
    second = until(
        lambda: (now := editor.suggestion_now()) != first and now, "another suggestion is shown"
    )
    editor.press("Alt+[")
    until(lambda: editor.suggestion_now() == first, "the first one is shown again")
    editor.press("Alt+]")
    until(lambda: editor.suggestion_now() == second, "the second one is shown again")
    editor.press("Tab")
    assert editor.saved().decode() == f"{POINT}        self.y{second}"


def test_escape_sends_it_away(window: Callable[..., Editor], point: Path) -> None:
    editor = window()
    editor.open(point.parent, point)
    editor.type("        self.y")
    editor.suggestion()
    editor.press("Escape")
    until(lambda: not editor.suggestion_now(), "the suggestion is gone")
    editor.no_suggestion()
    assert editor.saved().decode() == f"{POINT}        self.y"


def test_it_can_be_turned_off_and_on(window: Callable[..., Editor], point: Path) -> None:
    editor = window()
    editor.open(point.parent, point)
    editor.command("Santa: Turn On or Off")
    editor.status("off: turned off in the settings")
    editor.page.click(".monaco-editor .view-lines")
    editor.press("Control+End")
    editor.type("        self.y")
    editor.no_suggestion()
    editor.command("Santa: Why Was Nothing Shown?")
    editor.notification("Santa is off: turned off in the settings")
    editor.command("Santa: Turn On or Off")
    editor.status("ready")
    editor.page.click(".monaco-editor .view-lines")
    editor.press("Control+End", "Backspace")
    editor.type("y")
    editor.suggestion()


def test_languages_are_chosen(window: Callable[..., Editor], tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text(POINT)
    editor = window()
    editor.open(tmp_path, file, ready=False)
    editor.status("off: not turned on for plaintext")
    editor.type("        self.y")
    editor.no_suggestion()
    editor.command("Santa: Turn On or Off for This Language")
    editor.status("ready")
    editor.page.click(".monaco-editor .view-lines")
    editor.press("Control+End", "Backspace")
    editor.type("y")
    editor.suggestion()


def test_the_menu_has_everything(window: Callable[..., Editor], point: Path) -> None:
    editor = window()
    editor.open(point.parent, point)
    editor.status_item().click()
    rows = editor.page.locator(".quick-input-list .monaco-list-row")
    rows.first.wait_for()
    editor.screenshot(PICTURES / "vscode-menu.png")
    labels = "\n".join(rows.all_inner_texts())
    for entry in (
        "Turn off",
        "Turn off for python",
        "Snooze",
        "Choose model",
        "Why",
        "Restart",
        "log",
    ):
        assert entry in labels
    rows.filter(has_text="Choose model").click()
    rows.filter(has_text="santa-mini").wait_for()
    editor.screenshot(PICTURES / "vscode-models.png")
    editor.press("Escape")
    editor.command("Santa: Snooze")
    rows.filter(has_text="30 minutes").click()
    editor.status("off: snoozed until")


def test_the_reason_for_nothing_is_told(window: Callable[..., Editor], tmp_path: Path) -> None:
    file = tmp_path / "secret.py"
    file.write_text(POINT)
    editor = window({"santa.exclude": ["secret.py"]})
    editor.open(tmp_path, file)
    editor.type("        self.y")
    editor.no_suggestion()
    editor.command("Santa: Why Was Nothing Shown?")
    editor.notification("the file matches 'secret.py' in the setting exclude")
