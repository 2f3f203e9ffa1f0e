"""Our own server process over stdio, as an editor talks to it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.peers import Sample
from santa_lsp.bench import BenchError
from santa_lsp.bench.client import Client
from santa_lsp.bench.positions import position_of
from santa_lsp.bench.typist import difference


class SantaLsp:
    """One process that computes `tokens` tokens for every request, also if it shows none."""

    def __init__(self, model_dir: Path, threads: int, tokens: int) -> None:
        self._client = Client.start([sys.executable, "-m", "santa_lsp", "--stdio"])
        self._client.initialize(
            {
                "model": str(model_dir),
                "threads": threads,
                "debounceMs": 0,
                "latencyBudgetMs": 60_000,  # the whole prompt, however long it takes
                "maxNewTokens": tokens,
                "minConfidence": 0,
                "multiline": "never",
            }
        )
        self._texts: dict[str, str] = {}
        self._version = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.kill()

    def complete(self, file: str, prefix: str, suffix: str, tokens: int) -> Sample:
        """The document changes by one edit since its last request. Raises BenchError."""
        client, uri, text = self._client, f"file:///bench/{file}", prefix + suffix
        before = self._texts.get(uri)
        self._version += 1
        if before is None:
            client.open(uri, text, version=self._version)
        elif before != text:
            edit = difference(before, text)
            start, end = (
                position_of(before, offset, client.encoding) for offset in (edit.start, edit.end)
            )
            client.change(uri, self._version, edit.text, start, end)
        self._texts[uri] = text
        position = position_of(text, len(prefix), client.encoding)
        call = client.wait_for(client.inline_completion(uri, position))
        counters = client.statistics()
        if counters is None or counters["last"] is None:
            raise BenchError(f"the server has no statistics of its own; it told: {client.told}")
        last = counters["last"]
        return Sample(
            first_ms=call.first_text or call.milliseconds,
            total_ms=call.milliseconds,
            prompt_tokens=last["promptTokens"],
            prefilled_tokens=last["prefilledTokens"],
            generated_tokens=last["generatedTokens"],
            text=call.item["insertText"] if call.item else "",
        )
