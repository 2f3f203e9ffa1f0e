"""VS Code as a user has it: a folder is opened, keys are pressed, the screen is read."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from playwright.sync_api import Locator, Page

from tests.e2e.vscode.fetch import Workbench

#: Seconds to wait for anything; generous, as the machine may be busy.
PATIENCE = 120.0
#: Settings of every test: no distractions, and suggestions however unsure the small model is.
SETTINGS: dict[str, Any] = {
    "workbench.startupEditor": "none",
    "workbench.tips.enabled": False,
    "workbench.welcomePage.walkthroughs.openOnInstall": False,
    "chat.disableAIFeatures": True,
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "editor.fontSize": 15,
    "editor.minimap.enabled": False,
    "editor.wordBasedSuggestions": "off",
    "editor.quickSuggestions": {"other": "off", "comments": "off", "strings": "off"},
    "editor.suggestOnTriggerCharacters": False,
    "editor.parameterHints.enabled": False,
    "files.autoSave": "off",
    "git.enabled": False,
    "telemetry.telemetryLevel": "off",
    "santa.minConfidence": 0,
    "santa.threads": 1,
}


class CodeServer:
    """A running workbench with the extension installed, and one user's data."""

    def __init__(self, workbench: Workbench, data: Path, vsix: Path) -> None:
        self.workbench, self.data = workbench, data
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self._log = data / "code-server.log"
        self.configure({})
        self._run_to_end("--install-extension", str(vsix))

    def _command(self, *arguments: str) -> list[str]:
        folders = ["--user-data-dir", self.data / "user", "--extensions-dir", self.data / "ext"]
        config = ["--config", self.data / "config.yaml"]
        return [
            str(each) for each in (self.workbench.node, self.workbench.entry, *config, *folders)
        ] + [*arguments]

    def _run_to_end(self, *arguments: str) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            self._command(*arguments), capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Write the user's settings; None takes one out of the common ones."""
        found = {**SETTINGS, **settings}
        kept = {name: value for name, value in found.items() if value is not None}
        for place in ("User", "Machine"):  # settings of the machine are read from there alone
            file = self.data / "user" / place / "settings.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(kept, indent=2))

    def start(self, env: Mapping[str, str], *, trusting: bool = True) -> None:
        """Serve the workbench, with this environment, until `stop`; `trusting` any folder."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        quiet = ["--auth", "none", "--disable-telemetry", "--disable-update-check"]
        options = ["--bind-addr", f"127.0.0.1:{self.port}"]
        if trusting:
            options.append("--disable-workspace-trust")
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command(*quiet, *options),
                env=dict(env),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until(lambda: self._answers(), "code-server answers")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def url(self, folder: Path, file: Path | None = None) -> str:
        """The address that shows a folder, and a file in it."""
        address = f"http://127.0.0.1:{self.port}/?folder={folder}"
        if file is not None:
            payload = [["openFile", f"vscode-remote://127.0.0.1:{self.port}{file}"]]
            address += "&payload=" + json.dumps(payload, separators=(",", ":"))
        return address

    def log_of_extension(self) -> str:
        """What the extension logged, of all windows."""
        logs = (self.data / "user" / "logs").rglob("*Santa.log")
        return "\n".join(log.read_text(errors="replace") for log in sorted(logs))

    def stop(self) -> None:
        """End the workbench and everything it started."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process = None

    def __enter__(self) -> CodeServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def until(condition: Any, what: str, patience: float = PATIENCE) -> Any:
    """Wait until a condition holds; its value."""
    end = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {patience:.0f} s in vain: {what}"
        time.sleep(0.05)
    return value


class Editor:
    """One window. Everything waits for what it looks for, and fails after PATIENCE."""

    def __init__(self, page: Page, server: CodeServer) -> None:
        self.page, self.server = page, server
        page.set_default_timeout(PATIENCE * 1000)
        self.file: Path | None = None

    def open(self, folder: Path, file: Path | None = None, *, ready: bool = True) -> None:
        """Show a folder, and a file with the cursor at its end; wait for the server if `ready`."""
        self.page.goto(self.server.url(folder, file))
        self.page.wait_for_selector(".monaco-workbench")
        self.status("Santa")
        if ready:
            self.status("ready")
        if file is not None:
            self.file = file
            self.page.wait_for_selector(".monaco-editor .view-lines")
            self.page.click(".monaco-editor .view-lines")
            self.press("Control+End")

    # --- keys

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def type(self, text: str, delay_ms: float = 30) -> None:
        self.page.keyboard.type(text, delay=delay_ms)

    def command(self, title: str) -> None:
        """Run a command by its title in the palette."""
        self.press("F1")
        entry = self.page.locator(".quick-input-widget input")
        entry.wait_for()
        entry.fill(f">{title}")
        self.page.locator(".quick-input-list .monaco-list-row").first.wait_for()
        self.press("Enter")

    # --- the screen

    def suggestion(self) -> str:
        """The grey text on the screen; waits for one."""
        return str(until(self.suggestion_now, "a suggestion is shown"))

    def suggestion_now(self) -> str:
        """The grey text on the cursor's line, or an empty string."""
        script = """() => [...document.querySelectorAll('.monaco-editor .ghost-text-decoration')]
          .map(each => each.textContent).join('')"""
        return str(self.page.evaluate(script)).replace("\u00a0", " ")

    def suggestion_lines(self) -> str:
        """The grey lines under the cursor's, or an empty string."""
        script = """() => [...document.querySelectorAll('.monaco-editor .suggest-preview-text')]
          .map(each => each.textContent).join('\\n')"""
        return str(self.page.evaluate(script)).replace("\u00a0", " ")

    def no_suggestion(self, seconds: float = 2.0) -> None:
        """Nothing is suggested for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.suggestion_now() == ""
            time.sleep(0.05)

    def status_item(self) -> Locator:
        return self.page.locator('.statusbar-item[id*="santa"]')

    def status(self, words: str, patience: float = PATIENCE) -> str:
        """The label of the status bar item, once it has these words (in any case)."""

        def label() -> str:
            item = self.status_item()
            text = item.first.locator("a").first.get_attribute("aria-label") if item.count() else ""
            return text if words.lower() in (text or "").lower() else ""

        return str(until(label, f"the status bar says {words!r}", patience))

    def notification(self, words: str) -> Locator:
        """A notification with these words."""
        found = self.page.locator(".notification-toast", has_text=words)
        found.first.wait_for()
        return found.first

    def screenshot(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.wait_for_timeout(400)  # until what slides in has done so
        self.page.screenshot(path=path)

    # --- the file

    def saved(self) -> bytes:
        """The file's bytes after saving."""
        assert self.file is not None
        self.press("Control+S")
        until(lambda: not self.page.locator(".tab.dirty").count(), "the file is saved")
        return self.file.read_bytes()
