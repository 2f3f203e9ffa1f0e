"""Evaluate a model as the server would run it: same prompts, engine, stop rules and filters.

    python -m model.evaluate fim --model santa-mini --data DIR --json fim.json --html fim.html

With --json a run that was interrupted goes on where it stopped when the command is given again.
Without --data the data come from the folder that SANTA_LSP_EVAL names.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from model.evaluate import table
from model.evaluate.code_to_text import CodeToText
from model.evaluate.fim import Fim
from model.evaluate.multipl_e import MultiPLE
from model.evaluate.run import run
from model.evaluate.task import EvaluateError, Subject, Task
from model.evaluate.typing import Typing
from model.execution import ExecutionError
from santa_lsp import models
from santa_lsp.engine import EngineError

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
        own.add_argument("--model", default=models.EMBEDDED, metavar="NAME|DIR")
        own.add_argument("--data", type=Path, metavar="FILE|DIR", help="default: $SANTA_LSP_EVAL")
        own.add_argument("--limit", type=positive, metavar="N", help="items, evenly spread")
        own.add_argument("--seed", type=int, default=0, help="of sampling and resampling")
        own.add_argument("--threads", type=int, default=0, help="as the server's setting")
        own.add_argument("--json", type=Path, metavar="FILE", help="every answer and score")
        own.add_argument("--html", type=Path, metavar="FILE", help="report for people")
        task.add_arguments(own)
    return top


def positive(text: str) -> int:
    if (value := int(text)) < 1:
        raise ValueError
    return value


def main() -> None:
    arguments = parser().parse_args()
    task = next(task for task in TASKS if task.name == arguments.task)
    try:
        work = task.load(arguments)
        subject = Subject(models.find(arguments.model), arguments.threads)
        result = run(task, subject, work, arguments, arguments.json)
        print(table.render(result.rows))
    except (EvaluateError, ExecutionError, models.ModelError, EngineError) as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {error.filename or 'writing'}: {error.strerror}{kept(arguments)}")
    except KeyboardInterrupt:
        print(f"\ninterrupted{kept(arguments)}", file=sys.stderr)
        sys.exit(130)


def kept(arguments: argparse.Namespace) -> str:
    if arguments.json is None:
        return ""
    return "; the same command goes on where this one stopped"


if __name__ == "__main__":
    main()
