"""The `santa-lsp` command: the server, and what one asks of it from a terminal."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import NoReturn

from santa_lsp import __version__, settings
from santa_lsp.commands import models as model_commands
from santa_lsp.bench import BenchError
from santa_lsp.bench import command as bench
from santa_lsp.completion.completer import Completer, Completion
from santa_lsp.completion.context import CompletionContext, language_of
from santa_lsp.completion.engine import EngineError
from santa_lsp.models import ModelError
from santa_lsp.settings import Settings, SettingsError

EXAMPLES = """examples:
  santa-lsp --stdio                                   serve an editor
  santa-lsp complete examples/shapes.py:18:16         one completion, in the terminal
  cat main.js | santa-lsp complete -:10:5 --language javascript
  santa-lsp models list                               the models on this machine
  santa-lsp models add bigcode/gpt_bigcode-santacoder SantaCoder itself, 1.1B parameters
  santa-lsp export CHECKPOINT OUTPUT                  a checkpoint -> a model directory
  santa-lsp doctor                                    is everything well, and how fast is it?
  santa-lsp bench                                     typing sessions against the server: latency
"""

#: Lines of the file that `complete` shows around the completion.
LINES_AROUND = 8


#: What `-` means as a FILE.
STDIN = "<stdin>"


class UsageError(Exception):
    """Something on the command line is wrong; exit status 2."""


def main(argv: list[str] | None = None) -> NoReturn:
    """Exit status 0, 1 for a failure explained in one line, 2 for usage."""
    given = sys.argv[1:] if argv is None else argv
    # argparse takes -:LINE:COLUMN for an option.
    given = [STDIN + each[1:] if each.startswith("-:") else each for each in given]
    arguments = _parser().parse_args(given)
    try:
        arguments.run(arguments)
    except (ModelError, EngineError, SettingsError, BenchError) as error:
        sys.exit(f"santa-lsp: {error}")
    except UsageError as error:
        print(f"santa-lsp: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has enough
    sys.exit(0)


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    group = common.add_argument_group("model")
    # SUPPRESS: an option given before a sub-command is not undone by the sub-command's default.
    group.add_argument("--model", metavar="NAME|DIR", default=argparse.SUPPRESS)
    group.add_argument("--device", choices=("auto", "cpu", "cuda"), default=argparse.SUPPRESS)
    group.add_argument("--threads", type=int, metavar="N", default=argparse.SUPPRESS)
    group.add_argument(
        "--config", type=Path, metavar="FILE", default=argparse.SUPPRESS, help="settings as TOML"
    )
    parser = argparse.ArgumentParser(
        prog="santa-lsp",
        description="Inline code completion that runs on your own machine.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common],
    )
    parser.add_argument("--version", action="version", version=f"santa-lsp {__version__}")
    transport = parser.add_mutually_exclusive_group()
    transport.add_argument("--stdio", action="store_true", help="serve on stdin/stdout (default)")
    transport.add_argument("--tcp", metavar="HOST:PORT", help="serve one client on a TCP port")
    transport.add_argument("--ws", metavar="HOST:PORT", help="serve one client on a WebSocket")
    parser.set_defaults(run=_serve)
    commands = parser.add_subparsers(title="commands", metavar="")

    complete = commands.add_parser(
        "complete", parents=[common], help="one completion in the terminal"
    )
    complete.add_argument("place", metavar="FILE:LINE:COLUMN", help="both from 1; FILE - is stdin")
    complete.add_argument(
        "-n", dest="max_new_tokens", type=int, metavar="N", help="most new tokens"
    )
    complete.add_argument("--language", help="default: from the file's name")
    complete.add_argument("--json", action="store_true", help="print an object instead of the file")
    complete.set_defaults(run=_complete)

    model_commands.add_parsers(commands)

    doctor = commands.add_parser("doctor", parents=[common], help="machine, model, measured speed")
    doctor.add_argument("--json", action="store_true")
    doctor.set_defaults(run=_doctor)

    bench.add_parser(commands, common)
    return parser


def read_settings(arguments: argparse.Namespace) -> tuple[Settings, list[str]]:
    """`--config` under the command line's own options; problems as messages."""
    found, problems = Settings(), list[str]()
    if config := getattr(arguments, "config", None):
        found, problems = settings.read_file(config)
    given = {
        name: value
        for name in ("model", "device", "threads", "max_new_tokens")
        if (value := getattr(arguments, name, None)) is not None
    }
    options = {settings.camel_case(name): value for name, value in given.items()}
    found, more = settings.parse(options, found)
    if more:
        raise UsageError("; ".join(more))
    return found, problems


def _settings(arguments: argparse.Namespace) -> Settings:
    found, problems = read_settings(arguments)
    for problem in problems:
        print(f"santa-lsp: {problem}", file=sys.stderr)
    return found


def _serve(arguments: argparse.Namespace) -> None:
    from santa_lsp.server.greeting import greet
    from santa_lsp.protocol.transports import accept_tcp, accept_websocket, open_stdio

    found, problems = read_settings(arguments)
    try:
        if arguments.tcp:
            wire = accept_tcp(*_address(arguments.tcp), greet)
        elif arguments.ws:
            wire = accept_websocket(*_address(arguments.ws), greet)
        else:
            wire = open_stdio(greet)
    except ImportError:
        sys.exit("santa-lsp: --ws needs websockets: pip install 'santa-lsp[ws]'")
    except OSError as error:
        sys.exit(f"santa-lsp: cannot listen there: {error.strerror}; choose another address")
    # Only now, as it takes most of a second: the client has its reply to initialize meanwhile.
    from santa_lsp.server import serve

    serve(found, problems, wire)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"expected HOST:PORT, not {text!r}")
    return host.strip("[]"), int(port)


def _complete(arguments: argparse.Namespace) -> None:
    from santa_lsp.completion.cache import CompletionCache
    from santa_lsp.engines import load_engine

    context = read_place(arguments.place, arguments.language)
    found = dataclasses.replace(_settings(arguments), exclude=())  # asked for by name
    engine = load_engine(found)
    if engine.notice:
        print(f"santa-lsp: {engine.notice}", file=sys.stderr)
    completer = Completer(engine, found.completer_config(), CompletionCache())
    if arguments.json:
        result = completer.complete(context)
        answer = (
            {"text": result.text, "tokens": result.tokens, "score": round(result.score, 4)}
            if isinstance(result, Completion)
            else {"text": None, "reason": result.reason}
        )
        print(json.dumps(answer, ensure_ascii=False))
        return
    _show_completion(completer, context)


def read_place(place: str, language: str | None) -> CompletionContext:
    """The context of FILE:LINE:COLUMN. Raises UsageError."""
    file, line_text, column_text = ([*place.rsplit(":", 2), "", ""])[:3]
    if not file or not line_text.isdigit() or not column_text.isdigit():
        raise UsageError(f"expected FILE:LINE:COLUMN (both from 1), not {place!r}")
    line, column = int(line_text), int(column_text)
    try:
        data = sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    if b"\0" in data[:8192]:
        raise UsageError(f"{file} is a binary file; there is nothing to complete in it")
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8 at byte {error.start}") from error
    lines = text.split("\n")
    if not 1 <= line <= len(lines):
        raise UsageError(f"{file} has {len(lines)} lines, so there is no line {line}")
    if not 1 <= column <= len(lines[line - 1]) + 1:
        raise UsageError(
            f"line {line} of {file} has columns 1 to {len(lines[line - 1]) + 1}, not {column}"
        )
    offset = sum(len(each) + 1 for each in lines[: line - 1]) + column - 1
    return CompletionContext(
        language=language or language_of(file),
        path="" if file == STDIN else file,
        prefix=text[:offset],
        suffix=text[offset:],
        trigger="invoked",
    )


def _show_completion(completer: Completer, context: CompletionContext) -> None:
    """The file around the cursor dimmed, the completion streamed in between."""
    dim, bold, plain = ("\033[2m", "\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "", "")
    before = "\n".join(context.prefix.split("\n")[-LINES_AROUND:])
    after = "\n".join(context.suffix.split("\n")[:LINES_AROUND])
    shown = 0

    def show(text: str) -> None:
        nonlocal shown
        print(text[shown:], end="", flush=True)
        shown = len(text)

    print(f"{dim}{before}{plain}{bold}", end="", flush=True)
    result = completer.complete(context, on_text=show)
    if isinstance(result, Completion):
        show(result.text)
    print(f"{plain}{dim}{after}{plain}")
    if not isinstance(result, Completion):
        print(f"santa-lsp: nothing to show: {result.reason}", file=sys.stderr)


def _doctor(arguments: argparse.Namespace) -> None:
    from santa_lsp.commands.doctor import examine, report

    findings = examine(_settings(arguments))
    print(json.dumps(findings, indent=2) if arguments.json else report(findings))
    if findings["problems"]:
        sys.exit(1)
