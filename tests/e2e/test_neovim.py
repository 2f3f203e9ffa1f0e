"""The plugin in real editors, Neovim 0.10 and 0.12, with the real server and the embedded model."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from santa_lsp.models import embedded_directory
from tests.support.neovim import PLUGIN, ROOT, Neovim

pytestmark = pytest.mark.editor

SHAPES = (ROOT / "examples" / "shapes.py").read_text()
#: Typed over line 15 of SHAPES; the embedded model has something to say behind it, and behind the
#: second several words.
PERIMETER = "        return 2 * math.pi * self."
AREA = "        return math."
#: The displays: Neovim's own, ours in its place, and ours where there is no other.
DISPLAYS = {
    "0.12": {"version": "0.12"},
    "0.12-streaming": {"version": "0.12", "streaming": True},
    "0.10": {"version": "0.10"},
}


@pytest.fixture(scope="module", params=DISPLAYS)
def editor(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Neovim]:
    """An editor shared by the tests that leave it as it was; each edits a file of its own."""
    with Neovim(folder=tmp_path_factory.mktemp("editor"), **DISPLAYS[request.param]) as nvim:
        yield nvim


@pytest.fixture(autouse=True)
def normal_mode(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests that share an editor find it in Normal mode with one window."""
    yield
    if "editor" in request.fixturenames:
        shared = request.getfixturevalue("editor")
        shared.type("<Esc><Esc>")
        shared.nvim.command("silent! only!")


@pytest.fixture(params=DISPLAYS)
def display(request: pytest.FixtureRequest) -> dict[str, object]:
    """For tests that need an editor of their own."""
    return dict(DISPLAYS[request.param])


def write_perimeter(
    editor: Neovim, name: str, newline: str = "\n", typed: str = PERIMETER
) -> tuple[Path, str]:
    """Edit a copy of SHAPES, type PERIMETER over its line 15, and wait for the suggestion."""
    path = editor.open(name, SHAPES, newline)
    editor.type("15GS" + typed.strip())
    return path, editor.shown()


def ends_of(text: str) -> list[str]:
    return [text[start:] for start in range(len(text))]


def test_a_suggestion_is_shown_and_tab_accepts_it(editor: Neovim) -> None:
    path, shown = write_perimeter(editor, "accept.py")
    assert (PERIMETER + shown.split("\n")[0]) in editor.screen()
    editor.type("<Tab>")
    editor.wait("accepted text", lambda: editor.line() == PERIMETER + shown)
    assert editor.cursor() == (15, len(PERIMETER + shown))
    editor.type("<Esc>:w<CR>")
    wanted = SHAPES.replace(SHAPES.split("\n")[14], PERIMETER + shown)
    editor.wait("written file", lambda: path.read_text() == wanted)


def test_the_server_works_ahead_where_the_cursor_is(
    display: dict[str, object], tmp_path: Path
) -> None:
    with Neovim(folder=tmp_path, **display) as nvim:
        nvim.open("ahead.py", SHAPES)
        nvim.wait("cached prefix", lambda: nvim.statistics()["prefixCache"]["built"])
        assert nvim.statistics()["requests"] == 0


def test_undo_after_an_accept_is_one_step(editor: Neovim) -> None:
    _, shown = write_perimeter(editor, "undo.py")
    editor.type("<Tab>")
    editor.wait("accepted text", lambda: editor.line() == PERIMETER + shown)
    editor.type("# more<Esc>")
    editor.type("u")
    assert editor.line() == PERIMETER + shown
    editor.type("u")
    assert editor.line() == PERIMETER
    editor.type("<C-r>")
    assert editor.line() == PERIMETER + shown


def test_words_are_accepted_one_by_one_without_waiting(editor: Neovim) -> None:
    _, shown = write_perimeter(editor, "word.py", typed=AREA)
    first, second = shown.split(" ")[:2]
    assert first.isidentifier(), f"choose another place: the model says {shown!r}"
    editor.type("<M-Right>")
    editor.wait("first word", lambda: editor.line() == AREA + first)
    assert editor.suggestion() == shown.removeprefix(first)
    editor.type("<M-Right>")
    editor.wait("second word", lambda: editor.line() == f"{AREA}{first} {second}")
    editor.wait("rest", lambda: editor.idle() and editor.suggestion())
    editor.type("<Tab>")
    editor.wait("all of it", lambda: editor.line().startswith(AREA + shown))


def test_a_line_is_accepted(editor: Neovim) -> None:
    editor.open("line.py", "class Point:\n    def __init__(self, x, y):\n")
    editor.type("2GA")
    shown = editor.shown()
    assert shown.startswith("\n"), f"choose another place: the model says {shown!r}"
    editor.type("<M-C-Right>")
    first = shown.split("\n")[1]
    editor.wait("first line", lambda: editor.nvim.current.buffer[:][2:3] == [first])
    assert editor.cursor() == (3, len(first))


def test_what_is_typed_through_stays_and_is_not_doubled(editor: Neovim) -> None:
    """Neovim 0.12.4 by itself would insert the typed characters once more."""
    _, shown = write_perimeter(editor, "through.py")
    editor.type(shown[:2] + "<Tab>")
    editor.wait("accepted text", lambda: editor.line() == PERIMETER + shown)


def test_typing_something_else_takes_the_suggestion_away(editor: Neovim) -> None:
    _, shown = write_perimeter(editor, "else.py")
    other = "~~~~~~~~~~~~"
    editor.type(other)
    editor.wait("other text", lambda: editor.line() == PERIMETER + other)
    # Neovim's own display leaves outdated text on the screen until the next reply.
    editor.wait("other suggestion", lambda: editor.suggestion() not in ends_of(shown))


def test_tab_is_a_tab_when_nothing_is_shown(editor: Neovim) -> None:
    editor.open("tab.py", "")
    editor.nvim.command("setlocal noexpandtab")
    editor.type("i<Tab>")
    editor.wait("tab", lambda: editor.line() == "\t")


def test_dismiss_takes_the_suggestion_off_the_screen(editor: Neovim) -> None:
    write_perimeter(editor, "dismiss.py")
    editor.type("<C-]>")
    editor.wait("empty screen", lambda: not editor.suggestion())
    editor.type("<Tab>x")
    editor.wait("plain tab", lambda: editor.line() == PERIMETER + "  x" or "x" in editor.line())
    assert editor.line().rstrip("x").rstrip() == PERIMETER


def test_beside_a_completion_menu(editor: Neovim) -> None:
    """No items for menus; our display leaves Neovim's menu alone and is back after it."""
    write_perimeter(editor, "menu.py")
    offered = editor.lua("return vim.lsp.get_clients({ bufnr = 0 })[1].server_capabilities")
    assert "completionProvider" not in offered
    if editor.lua("return require('santa.config').options.streaming"):
        editor.type("<C-n>")
        editor.wait("menu", lambda: editor.nvim.funcs.pumvisible())
        editor.wait("empty screen", lambda: not editor.suggestion())
        editor.type("<C-e>")
        assert editor.shown()


def test_leaving_insert_mode_cancels(editor: Neovim) -> None:
    write_perimeter(editor, "leave.py")
    editor.type("<Esc>")
    editor.wait("empty screen", lambda: not editor.suggestion())
    editor.type("a ")
    editor.type("<Esc>")
    editor.wait("end of the request", editor.idle)
    assert editor.mode() == "n"
    assert not editor.suggestion()


def test_behind_an_auto_closed_bracket(editor: Neovim) -> None:
    editor.open("bracket.py", "def main():\n    pass\n")
    editor.nvim.command("inoremap <buffer> ( ()<Left>")
    editor.type("2GSprint(")
    shown = editor.shown()
    before = editor.line()
    editor.type("<Tab>")
    editor.wait("accepted text", lambda: editor.line() != before)
    line = editor.line().strip()
    assert line in (f"print({shown})", f"print({shown}")
    assert line.count("(") == line.count(")")


def test_a_file_with_crlf_stays_one(editor: Neovim) -> None:
    path = editor.open("crlf.py", "class Point:\n    def __init__(self, x, y):\n", "\r\n")
    assert editor.nvim.current.buffer.options["fileformat"] == "dos"
    editor.type("2GA")
    shown = editor.shown()
    assert "\n" in shown, f"choose another place: the model says {shown!r}"
    assert "\r" not in shown
    editor.type("<Tab>")
    editor.wait("accepted text", lambda: editor.text().endswith(shown))
    editor.type("<Esc>:w<CR>")
    wanted = ("class Point:\n    def __init__(self, x, y):" + shown + "\n").replace("\n", "\r\n")
    editor.wait("written file", lambda: path.read_bytes().decode() == wanted)


def test_an_emoji_before_the_cursor(editor: Neovim) -> None:
    editor.open("emoji.py", SHAPES)
    start = "        return '👩‍💻 é' * self."
    editor.type("15GS" + start.strip())
    shown = editor.shown()
    editor.type("<Tab>")
    editor.wait("accepted text", lambda: editor.line() == start + shown)


def test_switched_off_nothing_is_asked(editor: Neovim) -> None:
    write_perimeter(editor, "off.py")
    editor.nvim.command("Santa disable")
    try:
        editor.wait("empty screen", lambda: not editor.suggestion())
        assert editor.lua("return require('santa').status()") == "santa: off"
        editor.lua("""
            asked = 0
            vim.api.nvim_create_autocmd('LspRequest', {
              callback = function() asked = asked + 1 end,
            })
        """)
        editor.type("<Esc>S" + PERIMETER.strip())
        editor.wait("text", lambda: editor.line() == PERIMETER)
        # What native display would ask for, it asks 200 ms later: wait for a timer set after that.
        editor.lua("vim.defer_fn(function() rested = true end, 400)")
        editor.wait("a pause", lambda: editor.lua("return rested"))
        assert editor.lua("return asked") == 0
        assert not editor.suggestion()
    finally:
        editor.nvim.command("Santa enable")
    editor.type("<Esc>S" + PERIMETER.strip())
    assert editor.shown()


def test_two_buffers_at_once(editor: Neovim) -> None:
    first, _ = write_perimeter(editor, "left.py")
    editor.type("<Esc>:vsplit<CR>")
    write_perimeter(editor, "right.py")
    left = editor.nvim.current.buffer.number
    editor.type("<Esc><C-w>p")
    editor.wait("other window", lambda: editor.nvim.current.buffer.number != left)
    assert not editor.suggestion()
    editor.type("A")
    shown = editor.shown()
    editor.type("<Tab>")
    editor.wait("accepted text", lambda: editor.line() == PERIMETER + shown)
    assert Path(editor.nvim.current.buffer.name).name == first.name
    assert editor.nvim.api.buf_get_lines(left, 14, 15, True) == [PERIMETER]


def test_files_without_a_name(editor: Neovim) -> None:
    """Neovim gives all of them one address: each is completed from its own text all the same."""
    for start in ("        return 2 * math.pi * self.", "        return self."):
        editor.nvim.command("enew! | setfiletype python")
        editor.nvim.current.buffer[:] = SHAPES.split("\n")
        editor.type("15GS" + start.strip())
        shown = editor.shown()
        editor.type("<Tab>")
        editor.wait("accepted text", lambda: editor.line() == start + shown)  # noqa: B023
        editor.type("<Esc>")


def test_why_and_status_are_told(editor: Neovim) -> None:
    write_perimeter(editor, "why.py")
    editor.nvim.command("Santa why")
    editor.told("the last request", "characters")
    editor.nvim.command("Santa status")
    editor.told("server: ready", "model: santa-mini", "last completion")
    assert editor.lua("return require('santa').status()") == "santa"
    names = editor.nvim.funcs.getcompletion("Santa ", "cmdline")
    assert {"status", "toggle", "model", "why", "log", "restart", "install"} <= set(names)
    assert editor.nvim.funcs.getcompletion("Santa model ", "cmdline") == ["santa-mini"]
    editor.nvim.command("Santa nonsense")
    editor.told("no action", "nonsense", "toggle")


def test_health_is_told(editor: Neovim) -> None:
    editor.open("health.py", SHAPES)
    editor.nvim.command("checkhealth santa")
    report = editor.text()
    editor.nvim.command("bwipeout!")
    assert "ERROR" not in report
    assert "santa-lsp 0." in report
    assert "<Tab>: accept" in report


def test_a_model_is_selected(editor: Neovim) -> None:
    editor.open("model.py", SHAPES)
    editor.nvim.command("Santa model no-such-model")
    editor.told("there is no model 'no-such-model'")
    other = editor.folder / "other"
    shutil.copytree(embedded_directory(), other)
    for model in (str(other), "santa-mini"):
        editor.nvim.command(f"Santa model {model}")
        editor.told(f"the model is {model}")
    write_perimeter(editor, "model.py")


def test_next_and_previous_candidates(display: dict[str, object], tmp_path: Path) -> None:
    cmd = [sys.executable, "-m", "tests.support.candidates_server"]
    with Neovim(folder=tmp_path, cmd=cmd, **display) as editor:
        (tmp_path / "choose.py").write_text("x = \n")
        editor.nvim.command(f"edit {tmp_path / 'choose.py'}")
        editor.wait("server", lambda: editor.lua("return #vim.lsp.get_clients({ bufnr = 0 })"))
        editor.type("A")
        assert editor.shown() == "first()"
        for key, wanted in (
            ("]", "second() (2/3)"),
            ("]", "third() (3/3)"),
            ("[", "second() (2/3)"),
        ):
            editor.type(f"<M-{key}>")
            editor.wait(wanted, lambda: editor.suggestion() == wanted)  # noqa: B023
        editor.type("<Tab>")
        editor.wait("the second", lambda: editor.line() == "x = second()")


@pytest.mark.parametrize("display", ["0.12-streaming", "0.10"], indirect=True)
def test_more_candidates_are_asked_for_by_hand(display: dict[str, object], tmp_path: Path) -> None:
    with Neovim(
        folder=tmp_path, settings={"minConfidence": 0, "candidates": 3}, **display
    ) as editor:
        _, first = write_perimeter(editor, "candidates.py")
        editor.type("<M-]>")
        editor.wait("second candidate", lambda: "(2/" in editor.suggestion())
        second = editor.suggestion()
        assert second.rpartition(" (")[0] != first
        editor.type("<Tab>")
        wanted = PERIMETER + second.rpartition(" (")[0]
        editor.wait("the second", lambda: editor.text().count(wanted))


def test_one_display_at_a_time(tmp_path: Path) -> None:
    """Our display is wanted, and Neovim's is in use for other servers."""
    init = "vim.lsp.inline_completion.enable()\n"
    with Neovim("0.12", tmp_path, init, streaming=True) as editor:
        write_perimeter(editor, "one.py")
        marks = editor.lua("""
            local space = vim.api.nvim_create_namespace('nvim.lsp.inline_completion')
            vim.wait(500)
            return #vim.api.nvim_buf_get_extmarks(0, space, 0, -1, {})
        """)
        assert marks == 0


def test_an_env_file_stays_silent(display: dict[str, object], tmp_path: Path) -> None:
    with Neovim(folder=tmp_path, filetypes=["*"], **display) as editor:
        editor.open(".env", "API_KEY=1\n")
        editor.type("oPASSWORD=")

        def told_why() -> bool:
            editor.nvim.command("Santa why")
            return any(".env" in notice for notice in editor.notices())

        editor.wait("reason", told_why)
        assert editor.suggestion() == ""


def test_the_server_is_started_again_once(display: dict[str, object], tmp_path: Path) -> None:
    with Neovim(folder=tmp_path, **display) as editor:
        write_perimeter(editor, "killed.py")
        first = editor.server_process()
        os.kill(first, signal.SIGKILL)
        editor.told("stopped (signal 9)", "started again")
        editor.wait("new server", lambda: editor.server_process() != first)
        editor.type("<Esc>")
        write_perimeter(editor, "again.py")
        os.kill(editor.server_process(), signal.SIGKILL)
        editor.told("stopped again", ":Santa log", ":Santa restart")
        assert editor.status()[0].endswith("stopped")
        editor.type("<Esc>")
        editor.nvim.command("Santa restart")
        write_perimeter(editor, "restarted.py")


def test_restart_by_hand(editor: Neovim) -> None:
    write_perimeter(editor, "restart.py")
    editor.type("<Esc>")
    before, notices = editor.server_process(), len(editor.notices())
    editor.nvim.command("Santa restart")
    editor.wait("new server", lambda: editor.server_process() != before)
    write_perimeter(editor, "after.py")
    assert len(editor.notices()) == notices


@pytest.mark.parametrize("version", ["0.10", "0.12"])
def test_a_missing_server_is_told_with_what_to_do(version: str, tmp_path: Path) -> None:
    with Neovim(version, tmp_path, cmd=["no-such-server", "--stdio"]) as editor:
        (tmp_path / "a.py").write_text("x = 1\n")
        (tmp_path / "b.py").write_text("x = 1\n")
        editor.nvim.command(f"edit {tmp_path / 'a.py'}")
        editor.nvim.command(f"edit {tmp_path / 'b.py'}")
        editor.told("no-such-server cannot be run", ":Santa install", "pipx install")
        assert len(editor.notices()) == 1
        assert editor.lua("return require('santa').status()") == "santa: missing"
        editor.nvim.command("checkhealth santa")
        assert ":Santa install" in editor.text()


@pytest.mark.parametrize("version", ["0.10", "0.12"])
def test_keys_of_the_user_are_left_alone(version: str, tmp_path: Path) -> None:
    init = "vim.keymap.set('i', '<Tab>', 'mine')\n"
    with Neovim(version, tmp_path, init) as editor:
        write_perimeter(editor, "keys.py")
        editor.type("<Tab>")
        editor.wait("user's mapping", lambda: editor.line() == PERIMETER + "mine")
        editor.nvim.command("checkhealth santa")
        assert "<Tab> is mapped already" in editor.text()


@pytest.mark.parametrize("display", ["0.12-streaming", "0.10"], indirect=True)
def test_text_grows_on_the_screen_and_never_flickers(
    display: dict[str, object], tmp_path: Path
) -> None:
    with Neovim(folder=tmp_path, **display) as editor:
        editor.open("stream.py", SHAPES)
        editor.lua("""
            drawn, cleared = {}, 0
            local set, delete = vim.api.nvim_buf_set_extmark, vim.api.nvim_buf_del_extmark
            vim.api.nvim_buf_set_extmark = function(buf, space, row, col, options)
              if options.virt_text and options.id then
                table.insert(drawn, { col, options.virt_text[1][1] })
              end
              return set(buf, space, row, col, options)
            end
            vim.api.nvim_buf_del_extmark = function(...)
              cleared = cleared + 1
              return delete(...)
            end
        """)
        editor.type("15GS" + PERIMETER.strip())
        shown = editor.shown()
        drawn = [text for col, text in editor.lua("return drawn") if col == len(PERIMETER)]
        assert len(set(drawn)) >= 3
        assert all(later.startswith(sooner) for sooner, later in pairwise(drawn))
        assert drawn[-1] == shown
        editor.lua("drawn, cleared = {}, 0")
        editor.type(shown[:3])
        editor.wait("typed text", lambda: editor.suggestion() == shown[3:])
        assert editor.lua("return cleared") == 0


@pytest.mark.parametrize("version", ["0.10", "0.12"])
def test_options_that_are_wrong_are_named(version: str, tmp_path: Path) -> None:
    with Neovim(version, tmp_path, filetype=["python"], keys={"accpet": "<Tab>"}) as editor:
        editor.told("filetype", "ignored")
        editor.told("accpet", "ignored")


@pytest.mark.parametrize("version", ["0.10", "0.12"])
def test_the_help_file_has_every_tag_it_speaks_of(version: str, tmp_path: Path) -> None:
    shutil.copytree(PLUGIN / "doc", tmp_path / "doc")
    text = (tmp_path / "doc" / "santa-lsp.txt").read_text()
    with Neovim(version, tmp_path) as editor:
        editor.nvim.command("filetype off")  # these Neovims come without a parser for help files
        editor.nvim.command(f"helptags {tmp_path / 'doc'}")
        editor.lua("vim.opt.runtimepath:prepend(...)", str(tmp_path))
        for tag in re.findall(r"\|([^|\s]+)\|", text):
            editor.nvim.command(f"help {tag}")
            assert editor.nvim.current.buffer.options["buftype"] == "help"


@pytest.mark.parametrize("version", ["0.10", "0.12"])
def test_what_cannot_be_installed_is_told(version: str, tmp_path: Path) -> None:
    with Neovim(version, tmp_path) as editor:
        editor.nvim.command(f"Santa install {tmp_path / 'no-such.whl'}")
        assert editor.lua("return require('santa').status()") == "santa: installing"
        editor.told("installing the server failed", "no-such.whl")
        assert editor.lua("return require('santa').status()") == "santa: missing"
