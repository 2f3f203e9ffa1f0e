"""Evaluate a model as the server would run it: same prompts, engine, stop rules and filters.

    python -m model.evaluate fim --model santa-mini --data DIR --json fim.json --html fim.html

With --json a run that was interrupted goes on where it stopped when the command is given again,
and a finished one is shown without running it again.
Without --data the data come from the folder that SANTA_EVAL_DIR names.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from model.evaluate import compare, report, table
from model.evaluate.code_to_text import CodeToText
from model.evaluate.fim import Fim
from model.evaluate.multipl_e import MultiPLE
from model.evaluate.run import read_result, run
from model.evaluate.task import EvaluateError, Subject, Task, positive
from model.evaluate.typing import Typing
from model.evaluation_data import VARIABLE
from model.execution import ExecutionError
from santa_lsp import EMBEDDED, models
from santa_lsp.completion.engine import EngineError
from santa_lsp.models.files import write_whole

TASKS: tuple[Task, ...] = (Fim(), MultiPLE(), CodeToText(), Typing())


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m model.evaluate",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    commands = top.add_subparsers(dest="task", required=True, metavar="TASK")
    for task in TASKS:
        own = commands.add_parser(task.name, help=task.summary, description=task.summary)
        own.add_argument("--model", default=EMBEDDED, metavar="NAME|DIR")
        own.add_argument("--data", type=Path, metavar="FILE|DIR", help=f"default: ${VARIABLE}")
        own.add_argument("--limit", type=positive, metavar="N", help="items, evenly spread")
        own.add_argument("--threads", type=int, default=0, help="as the server's setting")
        add_outputs(own)
        task.add_arguments(own)
    summary = "two results of the same task side by side, with a paired test"
    both = commands.add_parser("compare", help=summary, description=summary)
    both.add_argument("first", type=Path, help="a result that --json wrote")
    both.add_argument("second", type=Path, help="may be the same file, with --group")
    both.add_argument(
        "--group", nargs=2, metavar=("FIRST", "SECOND"), help="rows to pair, if names differ"
    )
    add_outputs(both)
    return top


def add_outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=0, help="of sampling and resampling")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every answer and score")
    parser.add_argument("--html", type=Path, metavar="FILE", help="report for people")


def evaluate(arguments: argparse.Namespace) -> None:
    """Run a task. `main` tells its errors."""
    task = next(task for task in TASKS if task.name == arguments.task)
    if getattr(arguments, "no_sandbox", False):
        print("notice: generated programs have all of your rights", file=sys.stderr)
    work = task.load(arguments)
    subject = Subject(models.find(arguments.model), arguments.threads)
    result = run(task, subject, work, arguments, arguments.json)
    if arguments.html:
        write_whole(arguments.html, report.render(result))
    print(table.render(result.rows))


def compare_results(arguments: argparse.Namespace) -> None:
    """Compare two results. `main` tells its errors."""
    first, second = read_result(arguments.first), read_result(arguments.second)
    groups = tuple(arguments.group) if arguments.group else None
    found, pairs = compare.compare(first, second, groups, arguments.seed)
    if arguments.json:
        write_whole(arguments.json, json.dumps(compare.as_json(first, second, found), indent=1))
    if arguments.html:
        write_whole(arguments.html, compare.render(first, second, found, pairs))
    print(table.aligned(compare.cells(found)))


def main() -> None:
    arguments = parser().parse_args()
    try:
        (compare_results if arguments.task == "compare" else evaluate)(arguments)
    except (EvaluateError, ExecutionError, models.ModelError, EngineError) as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        what = error.filename or "the result cannot be written"
        sys.exit(f"error: {what}: {error.strerror}{kept(arguments)}")
    except KeyboardInterrupt:
        print(f"\ninterrupted{kept(arguments)}", file=sys.stderr)
        sys.exit(130)


def kept(arguments: argparse.Namespace) -> str:
    """The end of an error message: whether the finished part of the run is kept."""
    if arguments.json is None or arguments.task == "compare":
        return ""
    return "; the same command goes on where this one stopped"


if __name__ == "__main__":
    main()
