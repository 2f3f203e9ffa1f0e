"""Run generated programs in a sandbox; `confine.py` lists the rights that it leaves them.

    with Sandbox() as sandbox:
        outcome = sandbox.run(languages.python(), "print(1 + 1)")

Linux only, as root or as an ordinary user.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

CONFINE = Path(__file__).with_name("confine.py")
#: Seconds between looks at how much a program has written.
LOOK_EVERY = 0.2
#: Processor time a program gets unless its caller says otherwise.
SECONDS = 5
#: Bytes of output that an Outcome keeps.
OUTPUT_KEPT = 2000

Verdict = Literal["passed", "failed", "timed out"]


class ExecutionError(Exception):
    """No program can be run here, or not safely. The message names the missing part."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one process; sizes in bytes. `seconds` of processor time, and twice as many on the clock.

    `memory` is what can be written to, `address_space` also counts what is only reserved.
    """

    seconds: int = SECONDS
    memory: int = 1 << 30
    address_space: int = 2 << 30
    file_size: int = 16 << 20
    folder_size: int = 64 << 20
    open_files: int = 64


@dataclass(frozen=True, slots=True)
class Language:
    """How a program's text is run: the name of its file and the commands, in order.

    A command is an absolute path and arguments; a file is named relative to the program's folder,
    which is the working directory. `end` is a statement that prints `{token}` when it is reached at
    the end of the program; a program that ends before it has failed, with any status. Empty
    where the language has no place for one. `readable` are files it needs beside system files.
    """

    name: str
    file: str
    commands: tuple[tuple[str, ...], ...]
    end: str = ""
    readable: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`output` is the end of the program's stdout and stderr; it never names its folder."""

    verdict: Verdict
    output: str

    @property
    def passed(self) -> bool:
        return self.verdict == "passed"


class Sandbox:
    """Runs programs, each in a folder of its own that is removed afterwards. Use it as a context
    manager; `run` may be called from several threads."""

    def __init__(self, *, confined: bool = True) -> None:
        """`confined=False` only keeps limits and process group: programs have all your rights."""
        self._confined = confined
        self._folder = tempfile.TemporaryDirectory(prefix="santa-", ignore_cleanup_errors=True)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def check(self) -> None:
        """Raises ExecutionError when this machine cannot run a program, or not confine it."""
        if sys.platform != "linux":
            raise ExecutionError("programs can be run on Linux only")
        nothing = (os.path.realpath(sys.executable), "-I", "-S", "-c", "")
        with tempfile.TemporaryDirectory(dir=self._folder.name) as outer:
            (folder := Path(outer) / "program").mkdir()
            outcome = self._execute(nothing, folder, (sys.base_prefix,), Limits())
        if not outcome.passed:
            raise ExecutionError(f"the sandbox runs nothing: {outcome.verdict}, {outcome.output}")

    def run(self, language: Language, text: str) -> Outcome:
        """Write the program's text to its file and run the commands; stops at the first failure.

        Raises ExecutionError when that was not the program's fault.
        """
        token = os.urandom(8).hex()
        if language.end:
            text += "\n" + language.end.format(token=token) + "\n"
        with tempfile.TemporaryDirectory(
            dir=self._folder.name, ignore_cleanup_errors=True
        ) as outer:
            folder = Path(outer) / "program"
            folder.mkdir()
            (folder / language.file).write_text(text, encoding="utf-8", errors="replace")
            for command in language.commands:
                outcome = self._execute(command, folder, language.readable, language.limits)
                if not outcome.passed:
                    return outcome
        if not language.end:
            return outcome
        output, reached, rest = outcome.output.rpartition(token)
        return Outcome("passed" if reached else "failed", (output + rest).rstrip("\n"))

    def _execute(
        self, command: Sequence[str], folder: Path, readable: Sequence[str], limits: Limits
    ) -> Outcome:
        complaints, report = os.pipe()
        config = {
            "folder": str(folder),
            "readable": readable,
            "confined": self._confined,
            "report": report,
            "seconds": limits.seconds,
            "memory": limits.memory,
            "address_space": limits.address_space,
            "file_size": limits.file_size,
            "open_files": limits.open_files,
            "environment": {
                "HOME": str(folder),
                "TMPDIR": str(folder),
                "LANG": "C.UTF-8",
                "PYTHONHASHSEED": "0",
            },
        }
        launcher = [sys.executable, "-I", "-S", str(CONFINE), json.dumps(config), *command]
        with (folder.parent / "output").open("w+b") as output, os.fdopen(complaints, "rb") as said:
            try:
                process = subprocess.Popen(
                    launcher,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=(report,),
                    start_new_session=True,
                )
            finally:
                os.close(report)
            try:
                timed_out, too_much = _wait(process, folder, limits)
            finally:
                _kill(process)
            if complaint := said.read().decode(errors="replace"):
                raise ExecutionError(f"the sandbox cannot be set up: {complaint}")
            output.seek(max(0, output.seek(0, os.SEEK_END) - OUTPUT_KEPT))
            text = output.read().decode(errors="replace").replace(f"{folder}/", "")
        if too_much:
            return Outcome("failed", text + "\n(it wrote too much)")
        if timed_out or process.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
            return Outcome("timed out", text)
        return Outcome("passed" if process.returncode == 0 else "failed", text)


def _wait(process: subprocess.Popen[bytes], folder: Path, limits: Limits) -> tuple[bool, bool]:
    """Until it ends, its time is up or its folder full: (timed out, wrote too much)."""
    deadline = time.monotonic() + 2 * limits.seconds
    watch = os.pidfd_open(process.pid)
    try:
        ended = select.poll()
        ended.register(watch, select.POLLIN)
        while not ended.poll(1000 * LOOK_EVERY):
            if time.monotonic() > deadline:
                return True, False
            if _size(folder) > limits.folder_size:
                return False, True
    finally:
        os.close(watch)
    return False, False


def _size(folder: Path) -> int:
    """Bytes on disk below a folder that is being written to."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(path, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return total


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The process and, where it was not confined, its group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
