"""Latency of the real server process: keystrokes, streaming, cancelling, starting.

    python -m benchmarks.serving [--model NAME|DIR] [--json FILE]

The file is the first 500 lines of the standard library's argparse.py; a line of 50 characters is
typed in its middle, each character followed by an automatic request, as an editor without a
debounce of its own would send it. Times are in milliseconds, from the request to the reply as the
client sees them. The machine's noise is in them: compare ratios.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from tests.lsp_client import LspClient

URI = "file:///argparse.py"
LINES = inspect.getsource(argparse).splitlines()[:500]
LINE = 250
TYPED = "        selected = [item for item in self.items if it"
RUNS = 5


def start(model: str | None, options: dict[str, Any]) -> tuple[LspClient, float, float]:
    """A client with the file open, and the moments of start and of the initialize reply."""
    argv = [sys.executable, "-m", "santa_lsp", "--stdio", *(["--model", model] if model else [])]
    started = time.perf_counter()
    client = LspClient.start(argv)
    client.initialize(options=options, process_id=os.getpid())
    initialized = time.perf_counter()
    client.open(URI, "\n".join([*LINES[:LINE], "", *LINES[LINE:]]))
    return client, started, initialized


def keystrokes(client: LspClient) -> list[dict[str, Any]]:
    """Type TYPED; the milliseconds and the outcome of each request."""
    results = []
    for column, character in enumerate(TYPED):
        client.change(URI, column + 2, character, (LINE, column))
        sent = time.perf_counter()
        reply = client.result(client.inline_completion(URI, (LINE, column + 1)))
        took = 1000 * (time.perf_counter() - sent)
        results.append({"ms": took, "shown": reply is not None})
    return results


def first_token(client: LspClient, version: int) -> float | None:
    """Milliseconds to the first streamed text at a new place; None when none is streamed."""
    line = "        return ["
    client.change(URI, version, f"{line}  # {version}\n", (10, 0))
    seen = len(client.notifications)
    sent = time.perf_counter()
    request = client.inline_completion(
        URI, (10, len(line)), partialResultToken=f"s{version}", context={"triggerKind": 1}
    )
    while True:
        for note in client.notifications[seen:]:
            if note["method"] == "$/progress":
                took = 1000 * (time.perf_counter() - sent)
                client.result(request)
                return took
        if request in client.replies:
            client.result(request)
            return None
        time.sleep(0.0002)


def cancelled(client: LspClient, version: int) -> tuple[float, float]:
    """Milliseconds from a cancel to its reply, and until another request is answered."""
    client.change(URI, version, f"x{version} = \n", (10, 0))
    request = client.inline_completion(URI, (10, 5), context={"triggerKind": 1})
    time.sleep(0.01)
    sent = time.perf_counter()
    client.cancel(request)
    client.reply(request)
    replied = time.perf_counter()
    client.result(client.inline_completion(URI, (0, 0), context={"triggerKind": 1}))
    return 1000 * (replied - sent), 1000 * (time.perf_counter() - sent)


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def measure(model: str | None) -> dict[str, Any]:
    """All figures of one model; medians where a thing was done several times."""
    starts, firsts = [], []
    for _ in range(RUNS):
        client, started, initialized = start(model, {})
        with client:
            client.result(client.inline_completion(URI, (LINE, 0), context={"triggerKind": 1}))
            firsts.append(1000 * (time.perf_counter() - started))
            starts.append(1000 * (initialized - started))
            client.close()
    figures: dict[str, Any] = {
        "start to initialize reply": statistics.median(starts),
        "start to first completion": statistics.median(firsts),
    }
    for name, options in (("as set", {}), ("no debounce", {"debounceMs": 0})):
        client, *_ = start(model, options)
        with client:
            client.result(client.inline_completion(URI, (5, 0), context={"triggerKind": 1}))
            results = keystrokes(client)
            times = [result["ms"] for result in results]
            figures[f"keystroke p50, {name}"] = percentile(times, 0.5)
            figures[f"keystroke p95, {name}"] = percentile(times, 0.95)
            figures[f"keystrokes with a completion, {name}"] = sum(r["shown"] for r in results)
            if name == "no debounce":
                tokens = [first_token(client, 100 + i) for i in range(20)]
                seen = [each for each in tokens if each is not None]
                if seen:
                    figures["first streamed text p50"] = percentile(seen, 0.5)
                    figures["first streamed text p95"] = percentile(seen, 0.95)
                cancels = [cancelled(client, 200 + i) for i in range(20)]
                figures["cancel to reply p50"] = percentile([c[0] for c in cancels], 0.5)
                figures["cancel to reply p95"] = percentile([c[0] for c in cancels], 0.95)
                figures["cancel to next answer p50"] = percentile([c[1] for c in cancels], 0.5)
            client.close()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", metavar="NAME|DIR")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    figures = measure(arguments.model)
    for name, value in figures.items():
        print(f"{name:<40}{value:>10.1f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
