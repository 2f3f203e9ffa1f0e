"""Evaluate a model as the server would run it: same prompts, engine, stop rules and filters.

    python -m model.evaluate fim --data HumanEval-SingleLineInfilling.jsonl.gz --model santa-mini

`fim` is single-line infilling exact match (Fried et al. 2022, arXiv:2204.05999; SantaCoder §5):
the completion of each removed line, stripped, equals the line. Greedy. Tasks are JSON lines with
`prompt`, `suffix` and `canonical_solution`.
"""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from santa_lsp import models, prompt
from santa_lsp.cache import CompletionCache
from santa_lsp.completer import Completer, CompleterConfig, Completion
from santa_lsp.context import CompletionContext
from santa_lsp.engine import Engine, GenerationParameters, Token
from santa_lsp.engines.ctranslate2 import CTranslate2Engine

#: The paper's limit for a line.
MAX_NEW_TOKENS = 25


class EvaluateError(Exception):
    """Data that cannot be read; says what is wrong."""


@dataclass(frozen=True, slots=True)
class Task:
    """One line to fill in."""

    name: str
    prefix: str
    suffix: str
    line: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says raw, cut at the line's end, and what a user would be shown."""

    task: str
    expected: str
    raw: str
    shown: str | None

    @property
    def raw_matches(self) -> bool:
        return self.raw.strip() == self.expected.strip()

    @property
    def shown_matches(self) -> bool:
        return self.shown is not None and self.shown.strip() == self.expected.strip()


def read_tasks(path: Path) -> list[Task]:
    """Raises EvaluateError."""
    open_file: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with open_file(path, "rt", encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        return [
            Task(row["task_id"], row["prompt"], row["suffix"], row["canonical_solution"])
            for row in rows
        ]
    except OSError as error:
        raise EvaluateError(f"{path} cannot be read: {error}") from error
    except (ValueError, KeyError) as error:
        raise EvaluateError(f"{path} is not a file of infilling tasks: {error!r}") from error


def answers(engine: Engine, tasks: list[Task], language: str) -> Iterator[Answer]:
    """The model's answer to each task, in order."""
    config = CompleterConfig(max_new_tokens=MAX_NEW_TOKENS, multiline="never")
    completer = Completer(engine, config, CompletionCache())
    for task in tasks:
        context = CompletionContext(language, "", task.prefix, task.suffix, trigger="invoked")
        shown = completer.complete(context)
        yield Answer(
            task.name,
            task.line,
            raw_line(engine, context),
            shown.text if isinstance(shown, Completion) else None,
        )


def raw_line(engine: Engine, context: CompletionContext) -> str:
    """Greedy text up to the end of the line, unfiltered."""
    ids = prompt.build(
        context, engine.encode, engine.fim, engine.order, engine.n_positions - MAX_NEW_TOKENS
    )
    stream, text = engine.text_stream(), ""

    def on_token(token: Token) -> bool:
        nonlocal text
        text += stream.step(token.id)
        return "\n" in text.lstrip()

    engine.generate(ids, GenerationParameters(MAX_NEW_TOKENS), on_token)
    return text.lstrip("\n").partition("\n")[0]


def wilson_interval(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """95 % confidence interval of a proportion (Wilson 1927)."""
    if trials == 0:
        return 0.0, 1.0
    share = successes / trials
    centre = share + z * z / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def summarize(found: list[Answer]) -> dict[str, Any]:
    """Exact match with its interval, raw and as shown, and how much is shown at all."""
    count = len(found)
    raw, shown = (
        sum(answer.raw_matches for answer in found),
        sum(answer.shown_matches for answer in found),
    )
    return {
        "tasks": count,
        "raw_exact_match": raw / max(1, count),
        "raw_interval": wilson_interval(raw, count),
        "shown_exact_match": shown / max(1, count),
        "shown_interval": wilson_interval(shown, count),
        "shown_share": sum(answer.shown is not None for answer in found) / max(1, count),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("task", choices=("fim",))
    parser.add_argument("--data", type=Path, required=True, help="JSON lines, .gz or not")
    parser.add_argument("--model", default=models.EMBEDDED, metavar="NAME|DIR")
    parser.add_argument("--order", choices=("psm", "spm"), help="default: the model's own")
    parser.add_argument("--language", default="python")
    parser.add_argument("--limit", type=int, help="tasks, spread evenly over the set")
    parser.add_argument("--json", type=Path, help="write the summary and every answer")
    arguments = parser.parse_args()
    try:
        tasks = read_tasks(arguments.data)
        model = models.find(arguments.model)
    except (EvaluateError, models.ModelError) as error:
        sys.exit(f"error: {error}")
    if arguments.limit:
        tasks = tasks[:: max(1, len(tasks) // arguments.limit)][: arguments.limit]
    engine = CTranslate2Engine(model)
    engine.order = arguments.order or engine.order
    found = list(tqdm(answers(engine, tasks, arguments.language), total=len(tasks), unit="task"))
    summary = {"model": model.name, "order": engine.order, **summarize(found)}
    for kind in ("raw", "shown"):
        low, high = summary[f"{kind}_interval"]
        print(
            f"{kind:<6} exact match {summary[f'{kind}_exact_match']:.4f}  "
            f"[{low:.4f}, {high:.4f}]  of {summary['tasks']} tasks, {engine.order}"
        )
    print(f"something is shown for {summary['shown_share']:.1%}")
    if arguments.json:
        rows = [dataclasses.asdict(answer) for answer in found]
        arguments.json.write_text(json.dumps({"summary": summary, "answers": rows}, indent=1))


if __name__ == "__main__":
    main()
