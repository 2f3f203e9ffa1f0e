"""What a suggestion does to the text, with a server whose words are certain."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import scripted_server
from tests.e2e.vscode.conftest import PICTURES
from tests.e2e.vscode.editor import Editor, until

pytestmark = pytest.mark.editor

Opener = Callable[..., Editor]


@pytest.fixture
def opened(window: Callable[..., Editor], tmp_path: Path) -> Opener:
    """Open a file with a text in it, before a server that says `says`."""

    def open_file(
        text: str,
        says: str,
        *,
        name: str = "file.py",
        pause: float = 0,
        languages: str = "python java javascript",
        **settings: Any,
    ) -> Editor:
        (tmp_path / name).write_bytes(text.encode())
        program = scripted_server.program(tmp_path, says, pause, languages)
        editor = window({"santa.interpreter": None, "santa.server.path": str(program), **settings})
        editor.open(tmp_path, tmp_path / name)
        return editor

    return open_file


def test_word_by_word(opened: Opener) -> None:
    editor = opened("import os\n", says=" os.path.join(a, b)")
    editor.type("path =")
    assert editor.suggestion() == " os.path.join(a, b)"
    for rest in ("os.path.join(a, b)", ".path.join(a, b)"):  # VS Code takes the space by itself
        editor.press("Control+ArrowRight")
        until(lambda rest=rest: editor.suggestion_now() == rest, f"{rest!r} is left")
    assert editor.saved() == b"import os\npath = os"
    editor.press("Tab")
    assert editor.saved() == b"import os\npath = os.path.join(a, b)"


@pytest.mark.parametrize("name", ["main.go", "lib.rs", "app.ts", "main.cpp"])
def test_a_model_of_many_languages_needs_no_setting(opened: Opener, name: str) -> None:
    editor = opened("let x =\n", says=" value;", name=name, languages="")
    editor.type("y =")
    assert editor.suggestion() == " value;"


def test_line_by_line(opened: Opener) -> None:
    editor = opened("", says="\n    total = 0\n    return total\n", name="sum.py")
    editor.type("def f():")
    until(editor.suggestion_lines, "lines are suggested")
    editor.press("Alt+End")  # the rest of the cursor's line, which is its end
    editor.press("Alt+End")
    until(lambda: editor.saved() == b"def f():\n    total = 0\n", "a line is taken")
    editor.press("Alt+End")  # in front of an indentation VS Code leaves Tab to indent
    assert editor.saved() == b"def f():\n    total = 0\n    return total"


def test_going_through_the_suggestions_loses_none(opened: Opener) -> None:
    editor = opened("import os\n", says=" os.getcwd()")
    editor.type("path =")
    assert editor.suggestion() == " os.getcwd()"
    for key in ("Alt+]", "Alt+[", "Alt+["):
        editor.press(key)
        until(lambda: editor.suggestion_now() == " os.getcwd()", f"a suggestion after {key}")
    editor.press("Tab")
    assert editor.saved() == b"import os\npath = os.getcwd()"


def test_a_closed_bracket_is_not_doubled(opened: Opener) -> None:
    editor = opened("value = 1\n", says="value, 2)")
    editor.type("print(")  # the editor closes the bracket itself
    assert editor.suggestion().rstrip(")") == "value, 2"
    editor.press("Tab")
    assert editor.saved() == b"value = 1\nprint(value, 2)"


def test_what_follows_a_closed_bracket_stays_out(opened: Opener) -> None:
    editor = opened("// a loop\n", says=" n; i++) {", name="file.js")
    editor.type("for (i = 0; i <")
    assert editor.suggestion() == " n; i++"
    editor.press("Tab")
    assert editor.saved() == b"// a loop\nfor (i = 0; i < n; i++)"


def test_line_ends_stay_as_they_are(opened: Opener) -> None:
    editor = opened("import os\r\n", says="\n    a = 1\n    return a\n")
    editor.type("def f():")
    until(editor.suggestion_lines, "lines are suggested")
    editor.press("Tab")
    assert editor.saved() == b"import os\r\ndef f():\r\n    a = 1\r\n    return a"


def test_an_emoji_before_the_cursor(opened: Opener) -> None:
    editor = opened('print("🎅🎄👩‍👩‍👧", end="") ; x = "🎁"; ', says="value)")
    editor.type("print(")
    assert editor.suggestion().rstrip(")") == "value"
    editor.press("Tab")
    assert editor.saved().decode() == 'print("🎅🎄👩‍👩‍👧", end="") ; x = "🎁"; print(value)'


def test_a_notebook_cell(window: Callable[..., Editor], tmp_path: Path) -> None:
    cell = {"cell_type": "code", "source": ["import os\n"], "metadata": {}, "outputs": []}
    language = {"language_info": {"name": "python"}}
    notebook = {"cells": [cell], "metadata": language, "nbformat": 4, "nbformat_minor": 2}
    file = tmp_path / "book.ipynb"
    file.write_text(json.dumps(notebook))
    program = scripted_server.program(tmp_path, " os.getcwd()")
    editor = window({"santa.interpreter": None, "santa.server.path": str(program)})
    editor.open(tmp_path, ready=False)
    editor.page.locator(".explorer-folders-view").get_by_text(file.name).dblclick()
    editor.file = file
    editor.page.locator(".cell .monaco-editor .view-lines").click()
    editor.status("ready")
    editor.press("Control+End")
    editor.type("path =")
    assert editor.suggestion() == " os.getcwd()"
    editor.press("Tab")
    saved = json.loads(editor.saved())
    assert "".join(saved["cells"][0]["source"]) == "import os\npath = os.getcwd()"


def test_the_server_works_ahead_where_the_cursor_goes(opened: Opener, tmp_path: Path) -> None:
    editor = opened("import os\nimport sys\n", says=" nothing")
    editor.press("Control+End")
    prepared = tmp_path / "prepared"
    until(
        lambda: prepared.exists() and prepared.read_text().endswith("import os\nimport sys\n"),
        "the place that the cursor has gone to is prepared",
    )
    assert editor.suggestion_now() == ""


LONG = " first_word + second_word + third_word"


def test_a_slow_completion_grows_on_the_screen(opened: Opener) -> None:
    editor = opened("total = 0\n", says=LONG, pause=0.1)
    editor.type("total =")
    seen: list[str] = []

    def grown() -> bool:
        shown = editor.suggestion_now()
        if shown and shown not in seen:
            seen.append(shown)
        return shown == LONG

    until(grown, "the whole completion")
    assert len(seen) >= 4
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(seen))
    editor.press("Tab")
    assert editor.saved().decode() == f"total = 0\ntotal ={LONG}"


def test_a_growing_completion_can_be_taken(opened: Opener) -> None:
    editor = opened("total = 0\n", says=LONG, pause=0.2)
    editor.type("total =")
    editor.suggestion()
    editor.press("Tab")
    taken = editor.saved().decode().removeprefix("total = 0\ntotal =")
    assert taken
    assert LONG.startswith(taken)
    assert len(taken) < len(LONG)


def test_a_growing_completion_can_be_sent_away(opened: Opener) -> None:
    editor = opened("total = 0\n", says=LONG, pause=0.2)
    editor.type("total =")
    editor.suggestion()
    editor.screenshot(PICTURES / "vscode-growing.png")
    editor.press("Escape")
    until(lambda: not editor.suggestion_now(), "the suggestion is gone")
    editor.no_suggestion(3)
    assert editor.saved() == b"total = 0\ntotal ="


def test_without_streaming_it_comes_whole(opened: Opener) -> None:
    editor = opened("total = 0\n", says=LONG, pause=0.05, **{"santa.streaming": False})
    editor.type("total =")
    assert editor.suggestion() == LONG
