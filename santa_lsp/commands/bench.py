"""`santa-lsp bench`. `run` imports what it needs, so that `santa-lsp --stdio` starts sooner."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from santa_lsp.bench import FORMAT, BenchError

PACES = ("real", "fast")

DESCRIPTION = """Replay typing sessions against the real server process, and time the answers.

There are sessions in Python, Java and JavaScript, with typing, deleting, jumping, accepting and
pasting. Each is played at a person's pace and as fast as the server answers, with a request after
each change."""


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """`bench` among the sub-commands; `common` has the options that the server is given too."""
    parser = commands.add_parser(
        "bench",
        parents=[common],
        help="typing sessions against the real server: latency",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--session", action="append", metavar="NAME", help="play this one; may be given again"
    )
    parser.add_argument("--pace", choices=("both", *PACES), default="both")
    parser.add_argument(
        "--minutes", type=_minutes, default=2.0, metavar="M", help="in all (default 2)"
    )
    parser.add_argument("--seed", type=int, default=0, help="varies the time between keys")
    parser.add_argument(
        "--soak", type=int, default=0, metavar="KEYS", help="only measure memory, over so many keys"
    )
    parser.add_argument("--server", metavar="COMMAND", help="measure another language server")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every latency as JSON")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the distributions")
    parser.add_argument(
        "--compare", type=Path, metavar="OTHER.json", help="show ratios to that run"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Bench, print, write. Raises BenchError."""
    from santa_lsp.bench import plot, session, table
    from santa_lsp.bench.run import Plan, bench

    other = _read(arguments.compare) if arguments.compare else None
    for file in (arguments.json, arguments.plot):
        if file is not None and not file.parent.is_dir():
            raise BenchError(f"{file} cannot be written: there is no folder {file.parent}; make it")
    names = tuple(arguments.session or session.names())
    for name in names:
        session.read(name)
    paces = PACES if arguments.pace == "both" else (arguments.pace,)
    plan = Plan(names, paces, arguments.minutes, arguments.seed, arguments.soak)
    result = bench(_server(arguments), {}, plan)
    print(table.report(result))
    if other is not None:
        print("\n" + table.comparison(result, other, arguments.compare.name))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, separators=(",", ":")) + "\n")
    if arguments.plot:
        arguments.plot.write_text(plot.svg(result), encoding="utf-8")


def _server(arguments: argparse.Namespace) -> list[str]:
    """This server with the same options, or any other."""
    if arguments.server:
        return shlex.split(arguments.server)
    argv = [sys.executable, "-m", "santa_lsp", "--stdio"]
    for name in ("model", "device", "threads", "config"):
        if (value := getattr(arguments, name, None)) is not None:
            argv += [f"--{name}", str(value)]
    return argv


def _read(file: Path) -> dict[str, Any]:
    """The JSON of another run."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BenchError(f"{file} is not JSON: {error}") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT or "machine" not in found:
        raise BenchError(
            f"{file} was not written by this version of santa-lsp bench --json; measure anew"
        )
    return found


def _minutes(text: str) -> float:
    if (value := float(text)) <= 0:
        raise ValueError
    return value
