"""The real server with a scripted engine: says one text everywhere, as slowly as it is told.

`SANTA_SAYS` is the text, `SANTA_PAUSE` the seconds between two characters, `SANTA_PREPARED` a file
for what is prepared, `SANTA_LANGUAGES` the languages that it knows (empty: all); the command line
is that of `santa-lsp`. For tests in editors, where what is said must be certain.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from santa_lsp.commands import main
from santa_lsp.completion.context import CompletionContext
from santa_lsp.completion.engine import Cost, Limits, Piece, Stop
from santa_lsp.settings import Settings
from tests.support.scripted_engine import ScriptedEngine

ROOT = Path(__file__).parents[2]


class SlowEngine(ScriptedEngine):
    """Waits before each character; knows the languages of `SANTA_LANGUAGES`."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        named = os.environ.get("SANTA_LANGUAGES", "python java javascript")
        self.languages = tuple(named.split())

    def generate(
        self,
        context: CompletionContext,
        limits: Limits,
        on_piece: Callable[[Piece], bool],
        stop: Stop,
    ) -> Cost:
        def after_a_pause(piece: Piece) -> bool:
            time.sleep(float(os.environ.get("SANTA_PAUSE", "0")))
            return on_piece(piece)

        return super().generate(context, limits, after_a_pause, stop)

    def prepare(self, context: CompletionContext, stop: Stop) -> int:
        Path(os.environ["SANTA_PREPARED"]).write_text(context.prefix + context.suffix)
        return len(context.prefix)


def scripted_engine(settings: Settings) -> SlowEngine:
    return SlowEngine(os.environ["SANTA_SAYS"])


def program(
    folder: Path, text: str, pause: float = 0, languages: str = "python java javascript"
) -> Path:
    """A program in a folder that takes `santa-lsp`'s place; the file `prepared` beside it has the
    last text that was prepared."""
    file = folder / "scripted-santa-lsp"
    quoted = "'" + text.replace("'", "'\\''") + "'"
    file.write_text(
        f"#!/bin/sh\nexport SANTA_SAYS={quoted} SANTA_PAUSE={pause} PYTHONPATH={ROOT}\n"
        f"export SANTA_LANGUAGES='{languages}'\n"
        f'export SANTA_PREPARED="{folder}/prepared"\n'
        f'exec "{sys.executable}" -m tests.e2e.scripted_server "$@"\n'
    )
    file.chmod(0o755)
    return file


if __name__ == "__main__":
    main.main(load_engine=scripted_engine)
