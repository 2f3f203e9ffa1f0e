"""Run a task on a model, batch by batch, so that an interrupted run loses at most one batch.

Beside the result FILE grows FILE.partial: a line that says whose run it is, then a line for each
finished batch. The finished result takes its place.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from model.evaluate.task import EvaluateError, Record, Row, Subject, Task, Workload
from santa_lsp.models.files import write_whole

FORMAT = 1
#: Arguments that do not change a result, only its place or the time it takes.
NOT_SETTINGS = {"task", "model", "data", "json", "html", "threads", "jobs", "no_sandbox"}


@dataclass(frozen=True, slots=True)
class Result:
    """A finished run. `run` identifies it: task, model, settings, sources."""

    run: dict[str, Any]
    rows: list[Row]
    records: list[Record]

    def as_json(self) -> dict[str, Any]:
        rows, records = (
            [dataclasses.asdict(each) for each in found] for found in (self.rows, self.records)
        )
        return {**self.run, "rows": rows, "records": records}


def identify(
    task: Task, subject: Subject, work: Workload, arguments: argparse.Namespace
) -> dict[str, Any]:
    """The properties by which a run may continue another one."""
    settings = {
        name: value for name, value in sorted(vars(arguments).items()) if name not in NOT_SETTINGS
    }
    model = subject.model
    identity: dict[str, Any] = {
        "format": FORMAT,
        "task": task.name,
        "model": {"name": model.name, "sha256": model.card["sha256"].get("model.bin")},
        "settings": settings,
        "sources": work.sources,
    }
    as_read_back: dict[str, Any] = json.loads(json.dumps(identity, default=str))
    return as_read_back


def run(
    task: Task, subject: Subject, work: Workload, arguments: argparse.Namespace, file: Path | None
) -> Result:
    """Answer every item, going on from an interrupted run that wrote to the same `file`.

    A finished run of the same in `file` is not run again.

    Raises EvaluateError, EngineError, OSError (a full disk: finished batches are kept).
    """
    identity = identify(task, subject, work, arguments)
    items = spread(work.items, arguments.limit)
    if not items:
        raise EvaluateError("there is nothing to ask: the data hold no items")
    if file and file.exists() and not partial_path(file).exists():
        with contextlib.suppress(EvaluateError):  # another file is overwritten
            finished = read_result(file)
            if finished.run == identity:
                return dataclasses.replace(finished, rows=task.rows(finished.records, arguments))
    partial = Partial(file, identity) if file else None
    records: list[Record] = partial.records if partial else []
    done = partial.items if partial else 0
    with tqdm(total=len(items), initial=done, unit="item", desc=task.name) as bar:
        if done < len(items):
            with task.answering(subject, arguments) as answer:
                for batch in batches(items[done:], task.batch_size):
                    found = answer(batch)
                    records = records + found
                    if partial:
                        partial.append(len(batch), found)
                    bar.update(len(batch))
    result = Result(identity, task.rows(records, arguments), records)
    if file:
        write_whole(file, json.dumps(result.as_json(), indent=1))
        partial_path(file).unlink(missing_ok=True)
    return result


def spread(items: Sequence[Any], limit: int | None) -> Sequence[Any]:
    """`limit` items, evenly spread."""
    if not limit or limit >= len(items):
        return items
    return [items[index * len(items) // limit] for index in range(limit)]


def batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def partial_path(file: Path) -> Path:
    return file.with_name(file.name + ".partial")


class Partial:
    """The finished batches, on disk. `records` and `items` are those of an earlier run.

    It is written line by line rather than whole: an interrupted run continues from its lines.
    """

    def __init__(self, file: Path, identity: dict[str, Any]) -> None:
        """Raises EvaluateError when `file` has an unfinished run of something else."""
        self._path = partial_path(file)
        self.records: list[Record] = []
        self.items = 0
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = whole_lines(self._path)
        if lines:
            self._read(lines, identity)
        else:
            self._path.write_text(json.dumps(identity) + "\n", encoding="utf-8")

    def _read(self, lines: list[str], identity: dict[str, Any]) -> None:
        try:
            header, *found = (json.loads(line) for line in lines)
            differs = [name for name in identity if header.get(name) != identity[name]]
            if not differs:
                self.items = sum(line["items"] for line in found)
                self.records = [Record(**each) for line in found for each in line["records"]]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise EvaluateError(f"{self._path} is damaged; remove it to start again") from error
        if differs:
            raise EvaluateError(
                f"{self._path} is an unfinished run with another {' and '.join(differs)}: "
                "remove it, or write to another file"
            )
        # Without the last line, if it was cut short.
        write_whole(self._path, "".join(line + "\n" for line in lines))

    def append(self, items: int, records: Sequence[Record]) -> None:
        """Raises OSError."""
        line = {"items": items, "records": [dataclasses.asdict(record) for record in records]}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def whole_lines(path: Path) -> list[str]:
    """The lines of a file that end in a line end; none when there is no file."""
    if not path.exists():
        return []
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def read_result(file: Path) -> Result:
    """A result that `run` has written. Raises EvaluateError."""
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        rows = [Row(**row) for row in raw.pop("rows")]
        records = [Record(**record) for record in raw.pop("records")]
        if raw["format"] != FORMAT:
            raise EvaluateError(f"{file} was written by another version; run the task again")
    except OSError as error:
        hint = "; its run is not finished" if partial_path(file).exists() else ""
        raise EvaluateError(f"{file} cannot be read: {error.strerror}{hint}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvaluateError(f"{file} is not a result of model.evaluate") from error
    return Result(raw, rows, records)
