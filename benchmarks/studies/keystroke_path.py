"""Which files of `santa_lsp` one keystroke enters, and how often it comes back to one.

    python -m benchmarks.studies.keystroke_path [--protocol] [--sequence]

The real server runs with an engine that says one character (`tests.e2e.scripted_server`). One
character is typed and a completion is requested, as an editor does. Every Python call is recorded,
on all threads, from the arrival of the didChange message to the reply. The room `protocol/` is
left out, unless `--protocol` is given: it does the same for every message.

A keystroke *enters* a file when a function there is called from another file. It *returns* to a
file when it enters one again that it had entered before. `Completer.complete` is counted by itself
too. The script runs on any version of the project that has the scripted server.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import runpy
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).parents[2]
PACKAGE = f"{ROOT / 'santa_lsp'}{os.sep}"
URI = "file:///study/example.py"
#: Seconds after which the server has loaded and measured its model, also on a busy machine.
SETTLED = 8.0

#: When, the file that calls, the file that is called, the function, whether inside the completer.
Call = tuple[float, str, str, str, bool]


def record_server(log: Path) -> None:
    """Run the scripted server and write its calls to `log` when it ends."""
    calls: list[Call] = []
    running: set[FrameType] = set()  # coroutines and generators: resumed, they are no new call

    def on_event(frame: FrameType, event: str, argument: object) -> None:
        name = frame.f_code.co_filename
        if event != "call" or not name.startswith(PACKAGE) or frame in running:
            return
        if frame.f_code.co_flags & (inspect.CO_GENERATOR | inspect.CO_COROUTINE):
            running.add(frame)
        caller, above, completing = "", frame.f_back, False
        while above is not None:
            if above.f_code.co_filename.startswith(PACKAGE):
                caller = caller or above.f_code.co_filename.removeprefix(PACKAGE)
                completing = completing or above.f_code.co_qualname == "Completer.complete"
            above = above.f_back
        file = name.removeprefix(PACKAGE)
        calls.append((time.monotonic(), caller, file, frame.f_code.co_qualname, completing))

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
    editor.send("textDocument/didChange", {"textDocument": versioned, "contentChanges": [change]})
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
    calls: list[Call] = [tuple(call) for call in json.loads(log.read_text())]
    return [call for call in calls if started <= call[0] <= ended]


def report(calls: list[Call]) -> str:
    """Files entered, in order, and returns to them."""
    entered = [file for _, caller, file, *_ in calls if caller != file]
    lines = [
        f"{len(set(entered))} files, {len({(file, name) for _, _, file, name, _ in calls})} "
        f"functions, {len(entered) - len(set(entered))} returns"
    ]
    for file in dict.fromkeys(entered):
        returns = entered.count(file) - 1
        lines.append(f"  {file}" + (f"  {returns} returns" if returns else ""))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--protocol", action="store_true", help="count the room protocol/ too")
    parser.add_argument("--sequence", action="store_true", help="every call, in order")
    parser.add_argument("--record", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.record:
        record_server(arguments.record)
        return
    with tempfile.TemporaryDirectory() as folder:
        calls = keystroke(Path(folder) / "calls.json")
    if not arguments.protocol:
        calls = [call for call in calls if not call[2].startswith("protocol/")]
    if arguments.sequence:
        for _, caller, file, name, _ in calls:
            print(f"  {caller} -> {file}:{name}")
    print("the keystroke: " + report(calls))
    print("\ninside Completer.complete: " + report([call for call in calls if call[4]]))


if __name__ == "__main__":
    main()
