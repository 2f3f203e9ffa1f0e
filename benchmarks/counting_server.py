"""The real server, writing what became of each request to the file that SANTA_EVENTS names."""

from __future__ import annotations

import os
from pathlib import Path

from santa_lsp.commands import main as cli
from santa_lsp.completion.statistics import Statistics, Work
from santa_lsp.server import session


class Telling(Statistics):
    """Writes a word for each thing that it counts."""

    def _tell(self, event: str) -> None:
        with Path(os.environ["SANTA_EVENTS"]).open("a") as file:
            file.write(f"{event}\n")

    def request(self) -> None:
        super().request()
        self._tell("requests")

    def answered(self, work: Work) -> None:
        super().answered(work)
        self._tell(work.source)

    def dropped(self, work: Work) -> None:
        super().dropped(work)
        self._tell("dropped")

    def superseded(self) -> None:
        super().superseded()
        self._tell("superseded")


if __name__ == "__main__":
    session.Statistics = Telling  # type: ignore[misc]
    cli.main()
