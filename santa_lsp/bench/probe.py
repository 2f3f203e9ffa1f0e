"""Probes beside the sessions: the time to start a server, and to free it by a cancel."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from santa_lsp.bench import BenchError, session
from santa_lsp.bench.client import Client
from santa_lsp.bench.connection import LspError, NoReplyError
from santa_lsp.bench.positions import position_of

#: Seconds to wait: a large model loads slowly, and its first prompt is cold.
PATIENCE = 600.0

#: The model has much to generate after this, so a cancel comes while it computes.
OPENING = "def probe_{number}(first, second):\n    "

#: Probes at least, also after the time is over.
LEAST = 4

#: Milliseconds after which a cold request is cancelled, while its prompt is prefilled.
EARLY = 3.0


@contextmanager
def started(
    argv: Sequence[str], options: dict[str, Any], starts: dict[str, list[float]]
) -> Iterator[Client]:
    """A server that has loaded its model and answered once; `starts` gets the milliseconds.

    Raises BenchError if it cannot be started, dies or does not answer.
    """
    begun = time.perf_counter()
    try:
        client = Client.start(argv)
    except OSError as error:
        raise BenchError(f"{argv[0]} cannot be started: {error.strerror}") from error
    try:
        with client:
            client.initialize(options)
            starts.setdefault("start to initialize reply", []).append(_since(begun))
            client.open("file:///bench/start.py", "import os\n\n")
            call = client.inline_completion("file:///bench/start.py", (2, 0), invoked=True)
            client.result(call, PATIENCE)
            if client.state == "failed":
                raise BenchError("\n".join(client.told))
            starts.setdefault("start to first completion", []).append(_since(begun))
            yield client
            client.close()
    except NoReplyError as error:
        told = "\n".join(client.told)
        raise BenchError(f"{shlex.join(argv)}: {error}\n{told}".strip()) from error
    except LspError as error:
        raise BenchError(f"{shlex.join(argv)} refused a request: {error}") from error


def cancels(
    client: Client, count: int, seconds: float, on_probe: Callable[[], object]
) -> dict[str, list[float]]:
    """Milliseconds from a cancel to its reply, and until the model is free for the next request.

    Makes `count` probes, or fewer when `seconds` are over. The next request is sent at once. Its
    wait for the model is `queueMs` of santa.statistics, so other servers have no second figure.
    """
    found: dict[str, list[float]] = {}
    uri, text = "file:///bench/cancel.py", session.read("python").text
    client.open(uri, text)
    deadline = time.perf_counter() + seconds
    for number in range(count):
        if number >= LEAST and time.perf_counter() > deadline:
            break
        decoding = number % 2 == 0
        opening = OPENING.format(number=number)
        # At the top, so that the server can reuse nothing of the prompt before.
        client.change(uri, number + 2, opening + "\n\n", (0, 0))
        place = position_of(opening, len(opening), client.encoding)
        call = client.inline_completion(uri, place, invoked=True)
        if decoding:
            client.wait_for_text(call, PATIENCE)
        else:
            time.sleep(EARLY / 1000)
        open_still = call.replied is None
        client.cancel(call)
        cancelled = time.perf_counter()
        following = client.inline_completion(uri, place, invoked=True)
        waited = 1000 * (following.sent - cancelled)
        client.wait_for(call, PATIENCE)
        client.result(following, PATIENCE)
        if open_still and "error" in (call.reply or {}):
            assert call.replied is not None
            found.setdefault("cancel to reply", []).append(1000 * (call.replied - cancelled))
            last = (client.statistics() or {}).get("last") or {}
            if last.get("promptTokens"):
                name = f"cancel to idle, {'decoding' if decoding else 'prefilling'}"
                found.setdefault(name, []).append(waited + last["queueMs"])
        on_probe()
    client.close_document(uri)
    return found


def _since(begun: float) -> float:
    return 1000 * (time.perf_counter() - begun)
