"""Which files of `santa_lsp` one keystroke enters, and how often it comes back to one.

    python -m benchmarks.studies.keystroke_path [--sequence]

The real server runs with an engine that says one character (`tests.e2e.scripted_server`). One
character is typed and a completion is requested, as an editor does; every Python call between the
arrival of the didChange message and the reply is recorded, on all threads. Reading bytes and
writing them are not counted: `protocol/messages.py` receives the message and sends the reply.

A file is *entered* when one of its functions is called. It *returns* to a file when it enters one
that it had entered and left before; a call and its own return are no such thing.
"""

from __future__ import annotations

import argparse
import json
import os
import runpy
import subprocess
import sys
import tempfile
import threading
import time
from itertools import groupby
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).parents[2]
PACKAGE = f"{ROOT / 'santa_lsp'}{os.sep}"
#: Bytes in, bytes out: the same for every message.
TRANSPORT = {"protocol/framing.py", "protocol/wire.py", "protocol/transports.py"}
URI = "file:///study/example.py"
#: Seconds after which the server has nothing to do.
SETTLED = 1.5

Call = tuple[float, str, str]


def record_server(log: Path) -> None:
    """Run the scripted server and write its calls to `log` when it ends."""
    calls: list[Call] = []

    def on_event(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            file = frame.f_code.co_filename.removeprefix(PACKAGE)
            calls.append((time.monotonic(), file, frame.f_code.co_qualname))

    leave = os._exit

    def leave_and_tell(status: int) -> None:
        log.write_text(json.dumps(calls))
        leave(status)

    os._exit = leave_and_tell  # type: ignore[assignment]
    threading.setprofile(on_event)
    sys.setprofile(on_event)
    sys.argv = ["scripted_server", "--stdio"]
    runpy.run_module("tests.e2e.scripted_server", run_name="__main__")


class Editor:
    """The least of a client: messages with a header, replies by id."""

    def __init__(self, log: Path) -> None:
        command = [sys.executable, "-m", "benchmarks.studies.keystroke_path", "--record", str(log)]
        with tempfile.TemporaryDirectory() as home:
            environment = {
                **os.environ,
                "SANTA_SAYS": "1",
                "SANTA_LSP_HOME": home,
                "SANTA_PREPARED": os.devnull,
            }
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )

    def send(self, method: str, params: object, msg_id: int | None = None) -> None:
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        if msg_id is not None:
            message["id"] = msg_id
        body = json.dumps(message).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def reply(self, msg_id: int) -> object:
        assert self.process.stdout is not None
        while True:
            length = 0
            while (line := self.process.stdout.readline().strip()) or not length:
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            message = json.loads(self.process.stdout.read(length))
            if message.get("id") == msg_id and "method" not in message:
                return message.get("result")


def keystroke(log: Path) -> list[Call]:
    """The calls of one keystroke, in order."""
    editor = Editor(log)
    capabilities = {"textDocument": {"inlineCompletion": {}}}
    editor.send("initialize", {"processId": None, "rootUri": None, "capabilities": capabilities}, 1)
    editor.reply(1)
    editor.send("initialized", {})
    document = {"uri": URI, "languageId": "python", "version": 1, "text": "value =\n"}
    editor.send("textDocument/didOpen", {"textDocument": document})
    time.sleep(SETTLED)
    started = time.monotonic()
    end = {"line": 0, "character": 7}
    change = {"range": {"start": end, "end": end}, "text": " "}
    versioned = {"uri": URI, "version": 2}
    editor.send(
        "textDocument/didChange", {"textDocument": versioned, "contentChanges": [change]}
    )
    asked = {
        "textDocument": {"uri": URI},
        "position": {"line": 0, "character": 8},
        "context": {"triggerKind": 2},
    }
    editor.send("textDocument/inlineCompletion", asked, 2)
    result = editor.reply(2)
    ended = time.monotonic()
    assert result, "the server showed nothing"
    editor.send("shutdown", None, 3)
    editor.reply(3)
    editor.send("exit", None)
    editor.process.wait(timeout=30)
    calls: list[Call] = [(at, file, name) for at, file, name in json.loads(log.read_text())]
    return [call for call in calls if started <= call[0] <= ended and call[1] not in TRANSPORT]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sequence", action="store_true", help="every call, in order")
    parser.add_argument("--record", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.record:
        record_server(arguments.record)
        return
    with tempfile.TemporaryDirectory() as folder:
        calls = keystroke(Path(folder) / "calls.json")
    if arguments.sequence:
        for _, file, name in calls:
            print(f"  {file}:{name}")
    visits = [file for file, _ in groupby(file for _, file, _ in calls)]
    functions = {(file, name) for _, file, name in calls}
    print(f"{len(set(visits))} files, {len(functions)} functions, {len(calls)} calls")
    for file in dict.fromkeys(visits):
        returns = visits.count(file) - 1
        print(f"  {file}" + (f"  returned to {returns} times" if returns else ""))
    print(f"{len(visits) - len(set(visits))} returns to a file that had been left")


if __name__ == "__main__":
    main()
