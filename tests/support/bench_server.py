"""A language server for tests of the replay that completes one text and counts what it is asked.

    python -m tests.support.bench_server [TEXT] [--hold N] [--deaf] [--die N]

It completes the one line TEXT wherever the cursor's line is a beginning of it, streamed in two
parts. --hold answers the first N requests only once they are cancelled; --deaf has no
santa.statistics; --die ends with status 3 and a word on stderr at request N.
"""

from __future__ import annotations

import argparse
import queue
import sys
import threading
import time
from typing import Any

from santa_lsp.bench.connection import frame
from santa_lsp.document import Document
from santa_lsp.protocol.framing import read_messages

arguments = argparse.ArgumentParser()
arguments.add_argument("text", nargs="?", default="")
arguments.add_argument("--hold", type=int, default=0)
arguments.add_argument("--deaf", action="store_true")
arguments.add_argument("--die", type=int, default=0)
arguments.add_argument("--stdio", action="store_true")  # as any server is told
given = arguments.parse_args()

documents: dict[str, Document] = {}
inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
cancelled: set[int] = set()
counters: dict[str, Any] = {
    "requests": 0,
    "answered": {"typedThrough": 0, "prefetched": 0, "model": 0},
    "dropped": 0,
    "superseded": 0,
    "tokens": dict.fromkeys(
        ("prompt", "prefilled", "reused", "generated", "prefetched", "wasted"), 0
    ),
    "prefixCache": {"bytes": 0, "built": 0, "dropped": 0},
    "last": None,
}


def listen() -> None:
    for message in read_messages(lambda: sys.stdin.buffer.raw.read(65536)):
        if message["method"] == "$/cancelRequest":
            cancelled.add(message["params"]["id"])
        inbox.put(message)
    inbox.put(None)


def send(message: dict[str, Any]) -> None:
    sys.stdout.buffer.write(frame({"jsonrpc": "2.0", **message}))
    sys.stdout.buffer.flush()


def complete(msg_id: int, params: dict[str, Any]) -> None:
    counters["requests"] += 1
    if counters["requests"] == given.die:
        print("out of words", file=sys.stderr)
        sys.exit(3)
    position = params["position"]
    document = documents[params["textDocument"]["uri"]]
    line = document.line(position["line"])
    column = position["character"]
    range_ = {"start": position, "end": position}
    if counters["requests"] <= given.hold:
        while msg_id not in cancelled:
            time.sleep(0.001)
        counters["superseded"] += 1
        send({"id": msg_id, "error": {"code": -32800, "message": "cancelled"}})
        return
    typed = line[:column].lstrip()
    rest = given.text.removeprefix(typed) if typed and given.text.startswith(typed) else ""
    source = "none"
    if rest:
        source = "typedThrough" if len(typed) > 3 else "prefetched" if len(typed) > 2 else "model"
        counters["answered"][source] += 1
    else:
        counters["dropped"] += 1
    prefilled = (100 if len(typed) < 2 else 4) if source == "model" else 0
    counters["tokens"]["prefilled"] += prefilled
    counters["tokens"]["generated"] += 5 if source == "model" else 0
    counters["last"] = {
        "source": source,
        "promptTokens": 200 if source == "model" else 0,
        "prefilledTokens": prefilled,
        "reusedTokens": 200 - prefilled,
        "generatedTokens": 5,
        "debounceMs": 0,
        "queueMs": 2.5,
        "prefillMs": 1,
        "decodeMs": 1,
    }
    for length in (1, len(rest)) if rest else ():
        item = {"insertText": rest[:length], "range": range_}
        value = {"items": [item]}
        send(
            {
                "method": "$/progress",
                "params": {"token": params["partialResultToken"], "value": value},
            }
        )
    send({"id": msg_id, "result": {"items": [item]} if rest else None})


threading.Thread(target=listen, daemon=True).start()
while (message := inbox.get()) is not None:
    method, params = message["method"], message.get("params")
    if method == "initialize":
        commands = ["santa.accepted"] + ([] if given.deaf else ["santa.statistics"])
        offered = {
            "positionEncoding": "utf-32",
            "executeCommandProvider": {"commands": commands},
            "inlineCompletionProvider": {},
        }
        send({"id": message["id"], "result": {"capabilities": offered}})
    elif method == "textDocument/didOpen":
        item = params["textDocument"]
        documents[item["uri"]] = Document(item["uri"], item["text"])
    elif method == "textDocument/didChange":
        for change in params["contentChanges"]:
            ends = [(at["line"], at["character"]) for at in change["range"].values()]
            documents[params["textDocument"]["uri"]].apply(
                (ends[0], ends[1]), change["text"], "utf-32"
            )
    elif method == "textDocument/inlineCompletion":
        complete(message["id"], params)
    elif method == "workspace/executeCommand":
        send({"id": message["id"], "result": counters})
    elif method == "shutdown":
        send({"id": message["id"], "result": None})
    elif method == "exit":
        sys.exit(0)
