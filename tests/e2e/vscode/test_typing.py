"""What a user sees who types: the embedded model's suggestions, taken, passed over, sent away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.vscode.editor import Editor

pytestmark = pytest.mark.editor

POINT = """class Point:
    def __init__(self, x, y):
        self.x = x
"""


def test_tab_takes_what_is_suggested(window: Callable[..., Editor], tmp_path: Path) -> None:
    file = tmp_path / "point.py"
    file.write_text(POINT)
    editor = window()
    editor.open(tmp_path, file)
    editor.type("        self.y")
    shown = editor.suggestion()
    editor.press("Tab")
    assert editor.saved().decode() == f"{POINT}        self.y{shown}"
