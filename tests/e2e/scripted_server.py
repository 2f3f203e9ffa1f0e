"""The real server with a scripted engine: says one text to every prompt, as slowly as it is told.

`SANTA_SAYS` is the text, `SANTA_PAUSE` the seconds between two characters, `SANTA_PREPARED` a file
for what is prepared; the command line is that of `santa-lsp`. For tests in editors, where what is
said must be certain.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from santa_lsp.commands import main as cli
from santa_lsp.server import session
from santa_lsp.settings import Settings
from tests.scripted_engine import ScriptedEngine

ROOT = Path(__file__).parents[2]


class SlowEngine(ScriptedEngine):
    """Waits before each character."""

    def step(self, token_id: int) -> str:
        time.sleep(float(os.environ.get("SANTA_PAUSE", "0")))
        return super().step(token_id)

    def prepare(self, prompt_ids: Sequence[int]) -> int:
        Path(os.environ["SANTA_PREPARED"]).write_text("".join(map(chr, prompt_ids)))
        return len(prompt_ids)


def scripted_engine(settings: Settings) -> SlowEngine:
    return SlowEngine(os.environ["SANTA_SAYS"])


def program(folder: Path, text: str, pause: float = 0) -> Path:
    """A program in a folder that takes `santa-lsp`'s place; the file `prepared` beside it has the
    last prompt that was prepared."""
    file = folder / "scripted-santa-lsp"
    quoted = "'" + text.replace("'", "'\\''") + "'"
    file.write_text(
        f"#!/bin/sh\nexport SANTA_SAYS={quoted} SANTA_PAUSE={pause} PYTHONPATH={ROOT}\n"
        f'export SANTA_PREPARED="{folder}/prepared"\n'
        f'exec "{sys.executable}" -m tests.e2e.scripted_server "$@"\n'
    )
    file.chmod(0o755)
    return file


if __name__ == "__main__":
    session.load_engine = scripted_engine
    cli.main()
