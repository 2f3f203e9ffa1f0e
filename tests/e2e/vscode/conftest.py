"""One workbench and one browser for all tests here; one user with fresh data for each module."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

from tests.e2e.vscode.editor import CodeServer, Editor
from tests.e2e.vscode.fetch import Workbench, fetch

ROOT = Path(__file__).parents[3]
VSIX = ROOT / "editors" / "vscode" / "build" / "santa-lsp.vsix"
#: Where screenshots are kept, for people to look at.
PICTURES = ROOT / "build" / "screenshots"


@pytest.fixture(scope="session")
def workbench() -> Workbench:
    return fetch(ROOT / "build" / "editors" / "vscode")


@pytest.fixture(scope="session")
def vsix() -> Path:
    assert VSIX.exists(), "build the extension first: cd editors/vscode; npm ci; npm run package"
    return VSIX


def chromium(playwright: Playwright) -> Browser:
    """Debian's Chromium."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program, "these tests need a browser: apt-get install chromium"
    options = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    return playwright.chromium.launch(executable_path=program, args=options)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright, chromium(playwright) as browser:
        yield browser


def plain_python(folder: Path) -> Path:
    """A folder with nothing but `python3`: an interpreter that has no santa-lsp."""
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "python3"
    base = Path(sys._base_executable)  # type: ignore[attr-defined]
    if not link.exists():
        link.write_text(f'#!/bin/sh\nexec "{base}" "$@"\n')
        link.chmod(0o755)
    without = subprocess.run(
        [link, "-E", "-c", "import santa_lsp"], capture_output=True, cwd=folder
    )
    assert without.returncode != 0, f"{base} has santa-lsp, so nothing can be missing"
    return folder


@pytest.fixture(scope="module")
def code_server(
    workbench: Workbench, vsix: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CodeServer]:
    """The workbench of one user who has the extension; `santa.interpreter` is this Python."""
    with CodeServer(workbench, tmp_path_factory.mktemp("user"), vsix) as server:
        server.start(os.environ)
        yield server


@pytest.fixture
def window(
    code_server: CodeServer, browser: Browser, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Editor]]:
    """Open a window with settings of one's own; a picture is kept of one that a test failed in."""
    pages: list[Editor] = []

    def open_window(settings: dict[str, Any] | None = None, **options: Any) -> Editor:
        code_server.configure({"santa.interpreter": sys.executable, **(settings or {})})
        context = browser.new_context(viewport={"width": 1100, "height": 620}, **options)
        editor = Editor(context.new_page(), code_server)
        pages.append(editor)
        return editor

    yield open_window
    for editor in pages:
        editor.screenshot(PICTURES / f"{request.node.name}.png")
        editor.page.context.close()
