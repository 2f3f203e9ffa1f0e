"""Many programs, several at a time, each in a sandbox."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from types import TracebackType

from model.evaluate.task import EvaluateError, positive
from model.execution import SECONDS, ExecutionError, Outcome, Sandbox, languages


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--timeout", type=positive, default=SECONDS, metavar="S", help="processor time of a program"
    )
    parser.add_argument(
        "--jobs", type=positive, default=os.cpu_count(), metavar="N", help="programs run at a time"
    )
    parser.add_argument(
        "--no-sandbox",
        action="store_true",
        help="run generated programs with all of your rights, limited in time and memory only",
    )


class Programs:
    """A context manager that runs programs."""

    def __init__(self, arguments: argparse.Namespace, needed: Iterable[str] = ()) -> None:
        """Raises EvaluateError when a needed language, or a sandbox for it, is not to be had."""
        self._find = cache(lambda name: languages.find(name, arguments.timeout))
        self._sandbox = Sandbox(confined=not arguments.no_sandbox)
        try:
            for name in needed:
                self._find(name)
                self._sandbox.check()
        except ExecutionError as error:
            hint = "" if arguments.no_sandbox else "; --no-sandbox runs programs unconfined"
            raise EvaluateError(str(error) + (hint if "sandbox" in str(error) else "")) from error
        self._pool = ThreadPoolExecutor(arguments.jobs)

    def __enter__(self) -> Programs:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._sandbox.__exit__(kind, error, trace)

    def run(self, language: str, texts: Sequence[str]) -> list[Outcome]:
        """The outcome of each, in order; equal programs are run once. Raises ExecutionError."""
        how = self._find(language)
        distinct = list(dict.fromkeys(texts))
        outcomes = self._pool.map(lambda text: self._sandbox.run(how, text), distinct)
        by_text = dict(zip(distinct, outcomes, strict=True))
        return [by_text[text] for text in texts]
