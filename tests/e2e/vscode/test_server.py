"""The server's life: killed, missing, installed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.e2e.vscode.conftest import PICTURES, plain_python
from tests.e2e.vscode.editor import CodeServer, Editor, until
from tests.e2e.vscode.fetch import Workbench

pytestmark = pytest.mark.editor

TEXT = "class Point:\n    def __init__(self, x, y):\n        self.x = x\n"
#: Making an environment and installing into it takes a while on a busy machine.
INSTALL_PATIENCE = 400.0


def server_processes(data: Path) -> list[int]:
    """Process ids of the servers that a user's extension started: they run in its folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            folder = Path(os.readlink(entry / "cwd"))
        except OSError:  # it has ended meanwhile
            continue
        if b"--stdio" in words and folder.is_relative_to(data):
            found.append(int(entry.name))
    return found


def test_a_killed_server_is_restarted_once(
    window: Callable[..., Editor], code_server: CodeServer, tmp_path: Path
) -> None:
    file = tmp_path / "point.py"
    file.write_text(TEXT)
    editor = window()
    editor.open(tmp_path, file)
    editor.type("        self.y")
    editor.suggestion()

    def kill() -> int:
        (process,) = until(lambda: server_processes(code_server.data), "a server runs")
        os.kill(process, signal.SIGKILL)
        return int(process)

    first = kill()
    editor.notification("The Santa server ended unexpectedly and was restarted.")
    editor.screenshot(PICTURES / "vscode-restarted.png")
    until(lambda: first not in server_processes(code_server.data), "the killed one is gone")
    until(lambda: server_processes(code_server.data), "another runs")
    editor.status("ready")
    editor.page.click(".monaco-editor .view-lines")
    editor.press("Control+End", "Backspace")
    editor.type("y")
    editor.suggestion()

    kill()
    message = editor.notification("The Santa server ended again and was not restarted.")
    editor.status("no server")
    assert server_processes(code_server.data) == []
    message.get_by_role("button", name="Restart").click()
    editor.status("ready")


def test_a_setting_that_names_no_server_is_told(
    window: Callable[..., Editor], tmp_path: Path
) -> None:
    editor = window({"santa.interpreter": str(tmp_path / "nowhere" / "python")})
    editor.open(tmp_path, ready=False)
    message = editor.notification("the setting santa.interpreter: there is no program")
    message.get_by_role("button", name="Open Settings").wait_for()
    editor.status("no server")


def test_nothing_runs_in_a_folder_that_is_not_trusted(
    workbench: Workbench, vsix: Path, browser: Browser, tmp_path: Path
) -> None:
    (tmp_path / "project").mkdir()
    with CodeServer(workbench, tmp_path / "user", vsix) as server:
        server.configure(
            {"santa.interpreter": sys.executable, "security.workspace.trust.startupPrompt": "never"}
        )
        server.start(os.environ, trusting=False)
        context = browser.new_context()
        editor = Editor(context.new_page(), server)
        editor.page.goto(server.url(tmp_path / "project"))
        restricted = editor.page.locator(".statusbar-item", has_text="Restricted Mode")
        restricted.wait_for()
        editor.page.wait_for_timeout(5000)  # as long as a start takes
        assert editor.status_item().count() == 0
        assert server_processes(server.data) == []
        restricted.click()
        editor.page.get_by_role("button", name="Trust", exact=True).click()
        editor.status("ready")
        context.close()


@pytest.fixture
def newcomer(
    workbench: Workbench, vsix: Path, browser: Browser, tmp_path: Path
) -> Iterator[Editor]:
    """The window of somebody who has the extension, a Python, and nothing else yet."""
    with CodeServer(workbench, tmp_path / "user", vsix) as server:
        server.configure({"workbench.welcomePage.walkthroughs.openOnInstall": True})
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        env["PATH"] = f"{plain_python(tmp_path / 'bin')}:/usr/bin:/bin"
        server.start(env)
        context = browser.new_context(viewport={"width": 1100, "height": 620})
        editor = Editor(context.new_page(), server)
        yield editor
        editor.screenshot(PICTURES / "vscode-newcomer.png")
        context.close()


def test_a_newcomer_installs_with_one_click(newcomer: Editor, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    file = folder / "point.py"
    file.write_text(TEXT)
    newcomer.open(folder, ready=False)
    newcomer.page.locator("text=Start with Santa").first.wait_for()  # the walkthrough
    message = newcomer.notification("Santa needs its server, santa-lsp, which is not installed yet")
    newcomer.status("no server")
    newcomer.screenshot(PICTURES / "vscode-missing.png")
    message.get_by_role("button", name="Install", exact=True).click()
    newcomer.notification("Installing Santa")
    newcomer.screenshot(PICTURES / "vscode-installing.png")
    newcomer.status("ready", INSTALL_PATIENCE)
    newcomer.open(folder, file)
    newcomer.type("        self.y")
    shown = newcomer.suggestion()
    newcomer.press("Tab")
    assert newcomer.saved().decode() == f"{TEXT}        self.y{shown}"
