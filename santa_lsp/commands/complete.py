"""`santa-lsp complete FILE:LINE:COLUMN`: one completion, in the terminal."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from santa_lsp.commands.options import UsageError, settings_or_warnings
from santa_lsp.completion.cache import CompletionCache
from santa_lsp.completion.completer import Completer
from santa_lsp.completion.context import CompletionContext
from santa_lsp.languages import language_of

#: Lines of the file that are shown around the completion.
LINES_AROUND = 8
#: Stands for `-` as a FILE.
STDIN = "<stdin>"


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """`complete` among the sub-commands; `common` has the options about the model."""
    parser = commands.add_parser(
        "complete", parents=[common], help="print one completion in the terminal"
    )
    parser.add_argument(
        "place", metavar="FILE:LINE:COLUMN", help="both count from 1; FILE - is stdin"
    )
    parser.add_argument(
        "-n", dest="max_new_tokens", type=int, metavar="N", help="new tokens at most"
    )
    parser.add_argument("--language", help="LSP language identifier; default: from the file's name")
    parser.add_argument("--json", action="store_true", help="print an object instead of the file")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print the completion. Raises UsageError, SettingsError, ModelError, EngineError."""
    context = read_context(arguments.place, arguments.language)
    # The user has named the file: nothing is excluded.
    found = dataclasses.replace(settings_or_warnings(arguments), exclude=())
    engine = arguments.load_engine(found)
    if engine.notice:
        print(f"santa-lsp: {engine.notice}", file=sys.stderr)
    completer = Completer(engine, found, CompletionCache())
    if not arguments.json:
        _show_completion(completer, context)
        return
    outcome = completer.complete(context)
    answer: dict[str, object] = {"text": None, "reason": outcome.reason}
    if outcome.texts:
        answer = {
            "text": outcome.texts[0],
            "tokens": outcome.cost.generated_tokens,
            "score": round(outcome.score, 4),
        }
    print(json.dumps(answer, ensure_ascii=False))
    if not outcome.texts:
        sys.exit(3)


def read_context(place: str, language: str | None) -> CompletionContext:
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
        raise UsageError(f"{file} is not UTF-8 at byte {error.start}; convert it first") from error
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
    outcome = completer.complete(context, on_text=show)
    if outcome.texts:
        show(outcome.texts[0])
    print(f"{plain}{dim}{after}{plain}")
    if not outcome.texts:
        print(f"santa-lsp: nothing to show: {outcome.reason}", file=sys.stderr)
        sys.exit(3)
