"""The interface of a task. A new one is a file beside this one and a line in `__main__.TASKS`.

A task is an object with the five members of `Task` below; `fim.py` is the one to read first:

    class Echo:
        name, summary, batch_size = "echo", "says the line above again", 16

        def add_arguments(self, parser):           # its own options; the common ones are there
            parser.add_argument("--words", type=int, default=3)

        def load(self, arguments):                 # before the model: a mistake is told at once
            items = [EchoItem(...)]                # anything with an `id`
            return Workload(items, {"data.jsonl": sha256})

        @contextmanager
        def answering(self, subject, arguments):   # subject.engine loads the model when asked for
            yield lambda items: [Record(item.id, "all", {"exact_match": 1.0}, True) for ...]

        def rows(self, records, arguments):        # the table
            return mean_rows(records, arguments.seed)

`run.py` gives `answering`'s function batches of at most `batch_size` items, always cut at the same
places, and keeps the records of each whole batch, so that an interrupted run goes on at the batch
where it stopped. For the same result as without the interruption the function must depend on
nothing but the batch and the arguments: seed randomness with `arguments.seed` and the items.
`load` never applies `--limit`; `run.py` does.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from santa_lsp.engines.ctranslate2 import CTranslate2Engine
from santa_lsp.models import Model


class EvaluateError(Exception):
    """Data, a model or a machine does not fit. The message names the problem and the remedy."""


def positive(text: str) -> int:
    """For arguments: a whole number from 1 on."""
    if (value := int(text)) < 1:
        raise ValueError
    return value


class Item(Protocol):
    """One thing to ask the model. `id` is unique within a run and the same in every run."""

    @property
    def id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Workload:
    """The items of a run, in order, and their sources: name -> digest."""

    items: Sequence[Any]
    sources: dict[str, str]


@dataclass(frozen=True, slots=True)
class Record:
    """One answer, scored.

    `id` names the question: it is asked once in each `group` (a row of the table: language,
    setting) and has the same id in other groups and other runs; `compare` pairs by it. `scores` are
    numbers of which a mean makes sense; `right` files it under right or wrong in the report (None:
    neither).
    `texts` are for the reader of the report, title -> text, in order; "said" is shown in its place
    between "prefix" and "suffix". `details` are for the task's own `rows`.
    All of it survives JSON.
    """

    id: str
    group: str
    scores: dict[str, float]
    right: bool | None = None
    texts: dict[str, str] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a figure with its 95 % interval, of `count` records.

    `unit` is empty for a share of 1. `published` is SantaCoder 1.1B's own figure, of the same data
    or the nearest there are.
    """

    group: str
    metric: str
    value: float
    low: float | None
    high: float | None
    count: int
    unit: str = ""
    published: float | None = None


class Subject:
    """The model that is evaluated; `engine` loads it at first use, as the server would."""

    def __init__(self, model: Model, threads: int = 0) -> None:
        self.model = model
        self.threads = threads

    @cached_property
    def engine(self) -> CTranslate2Engine:
        """Raises EngineError."""
        return CTranslate2Engine(self.model, threads=self.threads)


Answer = Callable[[Sequence[Any]], list[Record]]


class Task(Protocol):
    """See the module's docstring."""

    @property
    def name(self) -> str: ...

    @property
    def summary(self) -> str: ...

    @property
    def batch_size(self) -> int: ...

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def load(self, arguments: argparse.Namespace) -> Workload:
        """Read the items, and check that they can be asked here. Raises EvaluateError."""
        ...

    def answering(
        self, subject: Subject, arguments: argparse.Namespace
    ) -> AbstractContextManager[Answer]:
        """Raises EvaluateError, EngineError; so may the function it gives."""
        ...

    def rows(self, records: Sequence[Record], arguments: argparse.Namespace) -> list[Row]: ...
