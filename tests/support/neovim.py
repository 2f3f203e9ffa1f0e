"""A real Neovim with our plugin and the real server, driven over its embedding API."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pynvim

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "editors" / "neovim"
EDITORS = ROOT / "build" / "neovim"
#: The server as a command, which leaves its process id behind when it serves.
SERVER = f"""#!/bin/sh
[ "$1" = --stdio ] && echo $$ >"$0-id.part" && mv "$0-id.part" "$0-id"
exec {sys.executable} -m santa_lsp "$@"
"""
#: Nothing is held back for want of confidence.
SETTINGS = {"minConfidence": 0}

#: What a user's init.lua has, and notices kept where a test can read them.
INIT = """
vim.opt.runtimepath:prepend(vim.env.SANTA_TEST_PLUGIN)
vim.opt.swapfile = false
vim.opt.shortmess:append('aoOtTIcFW')
vim.opt.more = false
vim.notify = function(message)
  _G.notices = vim.list_extend(_G.notices or {}, { message })
end
vim.g.santa = vim.json.decode(vim.env.SANTA_TEST_OPTIONS)
"""

#: Suggestions as they are on the screen: virtual text of either display.
SUGGESTION = """
local text = ''
for name, space in pairs(vim.api.nvim_get_namespaces()) do
  if name == 'santa' or name == 'nvim.lsp.inline_completion' then
    local marks = vim.api.nvim_buf_get_extmarks(0, space, 0, -1, { details = true })
    for _, mark in ipairs(marks) do
      local lines = { mark[4].virt_text }
      for _, line in ipairs(vim.list_extend(lines, mark[4].virt_lines or {})) do
        for _, chunk in ipairs(line) do
          text = text .. chunk[1]
        end
        text = text .. '\\n'
      end
    end
  end
end
return text:sub(1, -2)
"""

STATISTICS = """
local client = assert(vim.lsp.get_clients({ name = 'santa' })[1])
local params = { command = 'santa.statistics' }
local send = client.request_sync
local ask = 'workspace/executeCommand'
if vim.fn.has('nvim-0.11') == 1 then
  return assert(send(client, ask, params, 10000)).result
end
return assert(send(ask, params, 10000)).result
"""

PENDING = """
for _, client in ipairs(vim.lsp.get_clients({ name = 'santa' })) do
  for _, request in pairs(client.requests) do
    if request.method == 'textDocument/inlineCompletion' and request.type == 'pending' then
      return true
    end
  end
end
return false
"""


def fetch(version: str) -> Path:
    """The Neovim of a version, fetched at its first use."""
    program = EDITORS / f"nvim-{version}"
    if not program.exists():
        script = Path(__file__).with_name("fetch_neovim.sh")
        subprocess.run([str(script), str(EDITORS)], check=True, timeout=600)
    return program


class Neovim:
    """One editor in a folder of its own; killed after `limit` seconds whatever it does."""

    def __init__(
        self,
        version: str,
        folder: Path,
        init: str = "",
        attach: bool = True,
        limit: float = 300,
        **options: Any,
    ) -> None:
        """With `attach` false the caller attaches a screen; `options` are the plugin's."""
        self.folder, server = folder, folder / "santa-lsp"
        server.write_text(SERVER)
        server.chmod(0o755)
        options = {"cmd": [str(server), "--stdio"], "settings": SETTINGS, **options}
        (folder / "init.lua").write_text(INIT + init)
        environment = {
            "SANTA_TEST_PLUGIN": str(PLUGIN),
            "SANTA_TEST_OPTIONS": json.dumps(options),
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder),
            **{f"XDG_{kind}_HOME": str(folder / kind.lower())
               for kind in ("CONFIG", "DATA", "STATE", "CACHE")},
        }  # fmt: skip
        self.nvim = pynvim.attach(
            "child",
            argv=["env", *(f"{name}={value}" for name, value in environment.items()),
                  str(fetch(version)), "--embed", "--headless", "-u", str(folder / "init.lua")],
        )  # fmt: skip
        self._process = int(self.nvim.funcs.getpid())
        self._watchdog = threading.Timer(limit, os.kill, (self._process, signal.SIGKILL))
        self._watchdog.daemon = True
        self._watchdog.start()
        if attach:
            self.nvim.ui_attach(100, 30, rgb=True)
        self.wait("end of the configuration", lambda: self.nvim.vvars["vim_did_enter"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError, EOFError):
            self.nvim.quit()
        self._watchdog.cancel()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process, signal.SIGKILL)
        self.nvim.close()

    def lua(self, code: str, *arguments: Any) -> Any:
        return self.nvim.exec_lua(code, *arguments)

    def wait(self, what: str, check: Callable[[], Any], seconds: float = 60) -> Any:
        """The first true value of `check`; fails with the editor's state after `seconds`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if value := check():
                return value
            time.sleep(0.01)
        raise AssertionError(
            f"no {what} after {seconds} s; the screen:\n{self.screen()}\n"
            f"notices: {self.notices()}; status: {self.status()}"
        )

    def open(self, name: str, text: str | None = None, newline: str = "\n") -> Path:
        """Write a file, if there is text, and edit it; wait until the model is ready."""
        path = self.folder / name
        if text is not None:
            path.write_bytes(text.replace("\n", newline).encode())
        self.nvim.command(f"edit! {path}")
        self.wait("model", lambda: self.status()[0].endswith("ready"))
        return path

    def type(self, keys: str) -> None:
        self.nvim.input(keys)

    def suggestion(self) -> str:
        """The suggestion that is drawn now; may be empty."""
        return str(self.lua(SUGGESTION))

    def idle(self) -> bool:
        return not self.lua(PENDING)

    def shown(self) -> str:
        """The suggestion once it is there and complete."""
        return str(self.wait("suggestion", lambda: self.idle() and self.suggestion()))

    def line(self) -> str:
        return str(self.nvim.current.line)

    def text(self) -> str:
        return "\n".join(self.nvim.current.buffer[:])

    def cursor(self) -> tuple[int, int]:
        row, column = self.nvim.current.window.cursor
        return row, column

    def mode(self) -> str:
        return str(self.nvim.api.get_mode()["mode"])

    def notices(self) -> list[str]:
        return list(self.lua("return _G.notices or {}"))

    def told(self, *words: str) -> str:
        """The first notice that has all of these words, once it is there."""

        def find() -> str:
            return next((each for each in self.notices() if all(w in each for w in words)), "")

        return str(self.wait(f"notice with {words}", find))

    def status(self) -> list[str]:
        return list(self.lua("return require('santa.status').long()"))

    def statistics(self) -> dict[str, Any]:
        """What the server counts."""
        return dict(self.lua(STATISTICS))

    def server_process(self) -> int:
        """The process id of the server started last."""
        return int((self.folder / "santa-lsp-id").read_text())

    def screen(self) -> str:
        """The screen as text."""
        rows = self.lua(
            "local rows = {} for r = 1, vim.o.lines do local row = '' "
            "for c = 1, vim.o.columns do row = row .. vim.fn.screenstring(r, c) end "
            "rows[r] = row:gsub('%s+$', '') end return rows"
        )
        return "\n".join(rows)
