"""Infilling: how often the model says exactly the text that was taken out.

Each gap is asked once in each order and decoding. The answer is scored three ways: up to
end-of-text, as the papers do (Fried et al. 2022, arXiv:2204.05999; SantaCoder, arXiv:2301.03988);
up to the end of its first line; and as the server would show it, after all filters. Equality is
of stripped texts. Gaps that come with tests are run as well, with the first two in turn: pass@1.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import get_args

from model.evaluate import infilling, programs
from model.evaluate.infilling import Gap
from model.evaluate.programs import Programs
from model.evaluate.sampling import Recorder, Sampler
from model.evaluate.statistics import mean_rows
from model.evaluate.task import Answer, Record, Row, Subject, Workload
from santa_lsp.completion.cache import CompletionCache
from santa_lsp.completion.completer import Completer
from santa_lsp.completion.context import CompletionContext
from santa_lsp.families.prompt import Order
from santa_lsp.settings import Settings

#: The paper's limit for a line; longer gaps have room for the longest of OpenAI's.
MAX_NEW_TOKENS = {
    "single-line": 25,
    "multi-line": 256,
    "random-span": 256,
    "random-span-light": 256,
}
#: temperature, top_p
DECODINGS = {"greedy": (0.0, 1.0), "paper": (0.2, 0.95)}
#: SantaCoder's model card. Java and JavaScript were measured on sets of other lines.
PUBLISHED = {"python": 0.44, "java": 0.62, "javascript": 0.60}


class Fim:
    """See the module's docstring and model.evaluate.task."""

    name = "fim"
    summary = "infilling: exact match, edit similarity, and tests passed"
    batch_size = 32

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--set", choices=infilling.KINDS, default="single-line")
        parser.add_argument(
            "--language", nargs="+", choices=infilling.LANGUAGES, help="default: all there are"
        )
        parser.add_argument(
            "--order", nargs="+", choices=get_args(Order), help="default: the model's own"
        )
        parser.add_argument(
            "--decoding",
            nargs="+",
            choices=tuple(DECODINGS),
            default=["greedy"],
            help="paper: one sample, temperature .2, top_p .95",
        )
        parser.add_argument("--no-run", action="store_true", help="leave out pass@1")
        programs.add_arguments(parser)

    def load(self, arguments: argparse.Namespace) -> Workload:
        work = infilling.load(arguments.data, arguments.set, arguments.language)
        if not arguments.no_run and any(gap.test for gap in work.items):
            with Programs(arguments, ["python"]):  # raises if they cannot run here
                return work
        return work

    @contextmanager
    def answering(self, subject: Subject, arguments: argparse.Namespace) -> Iterator[Answer]:
        orders = arguments.order or [subject.model.order]
        running = nullcontext() if arguments.no_run else Programs(arguments)

        def ask(gaps: Sequence[Gap], decoding: str) -> list[Record]:
            temperature, top_p = DECODINGS[decoding]
            sampler = Sampler(subject, arguments.seed, gaps[0].id) if temperature else None
            records = []
            for order in orders:
                engine = subject.engine
                engine.format = dataclasses.replace(engine.format, order=order)
                recorder = Recorder(engine, sampler, temperature, top_p)
                said = list(fill(recorder, gaps))
                found = [
                    record_of(gap, f"{order} {decoding}", each)
                    for gap, each in zip(gaps, said, strict=True)
                ]
                records += found if open_programs is None else run(open_programs, gaps, said, found)
            return records

        with running as open_programs:
            yield lambda gaps: [
                record for decoding in arguments.decoding for record in ask(gaps, decoding)
            ]

    def rows(self, records: Sequence[Record], arguments: argparse.Namespace) -> list[Row]:
        rows = mean_rows(records, arguments.seed)
        if arguments.set != "single-line":
            return rows
        return [
            dataclasses.replace(row, published=PUBLISHED[row.group.split()[0]])
            if row.metric == "exact match" and row.group.endswith("psm paper")
            else row
            for row in rows
        ]


@dataclasses.dataclass(frozen=True, slots=True)
class Said:
    """The model's answer to a gap up to end-of-text, and the text that a user would see."""

    raw: str
    shown: str | None

    def first_line(self) -> str:
        """Up to the end of the first line that is not blank."""
        return self.raw.lstrip("\n").partition("\n")[0]


def fill(recorder: Recorder, gaps: Sequence[Gap]) -> Iterator[Said]:
    """The model's answer to each gap, in order, requested as the server requests it."""
    for gap in gaps:
        settings = Settings(
            max_new_tokens=MAX_NEW_TOKENS[gap.kind],
            multiline="never" if gap.kind == "single-line" else "always",
            min_confidence=0.0,
            exclude=(),
        )
        # No time limit: a busy machine gives the same answers.
        completer = Completer(recorder, settings, CompletionCache(), time_limit=math.inf)
        context = CompletionContext(gap.language, "", gap.prefix, gap.suffix, trigger="invoked")
        refusal = completer.gate(context)
        outcome = completer.complete(context)  # even if it is refused: the raw answer is scored
        shown = refusal is None and outcome.texts
        yield Said(recorder.text, outcome.texts[0] if shown else None)


def record_of(gap: Gap, setting: str, said: Said) -> Record:
    """Scored; `setting` is order and decoding."""
    wanted = gap.middle.strip()
    scores = {
        "exact match": float(said.raw.strip() == wanted),
        "edit similarity": edit_similarity(said.raw.strip(), wanted),
        "shown exact match": float(said.shown is not None and said.shown.strip() == wanted),
        "shown at all": float(said.shown is not None),
    }
    if gap.kind == "single-line":
        scores["first line match"] = float(said.first_line().strip() == wanted)
    texts = {"prefix": gap.prefix, "said": said.raw, "expected": gap.middle, "suffix": gap.suffix}
    return Record(
        gap.id,
        f"{gap.language} {setting}",
        scores,
        max(scores["exact match"], scores.get("first line match", 0.0)) == 1,
        {**texts, "shown": said.shown or ""},
    )


def run(
    running: Programs, gaps: Sequence[Gap], said: Sequence[Said], records: Sequence[Record]
) -> list[Record]:
    """The records with pass@1 where there are tests."""
    scored = list(records)
    tested = [index for index, gap in enumerate(gaps) if gap.test]
    completions = {"pass@1": [said[index].raw for index in tested]}
    if all(gap.kind == "single-line" for gap in gaps):
        lines = [said[index].first_line() + "\n" for index in tested]
        completions["first line pass@1"] = lines
    for metric, texts in completions.items():
        outcomes = running.run(
            "python",
            [gaps[index].program(text) for index, text in zip(tested, texts, strict=True)],
        )
        for index, outcome in zip(tested, outcomes, strict=True):
            scores = {**scored[index].scores, metric: float(outcome.passed)}
            scored[index] = dataclasses.replace(scored[index], scores=scores)
    return scored


def edit_similarity(said: str, wanted: str) -> float:
    """1 - Levenshtein distance / length of the longer text; 1 for two empty texts."""
    longer = max(len(said), len(wanted))
    return 1 - edit_distance(said, wanted) / longer if longer else 1.0


def edit_distance(a: str, b: str) -> int:
    """Levenshtein's, in characters."""
    previous = list(range(len(b) + 1))
    for row, character in enumerate(a, 1):
        current = [row]
        for column, other in enumerate(b, 1):
            change = previous[column - 1] + (character != other)
            current.append(min(previous[column] + 1, current[-1] + 1, change))
        previous = current
    return previous[-1]
