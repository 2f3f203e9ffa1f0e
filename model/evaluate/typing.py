"""Typing: a user's view while typing real code, measured on the real server process.

    python -m model.evaluate typing --repo PATH [--commits N] [--limit N] [--model NAME|DIR]

Lines that a repository's commits have added (or lines of its files) are typed key by key, with a
completion requested after each key, as an editor does. The simulated user takes a completion as
soon as it equals the text about to be typed. "completed code" is the share of characters that were
taken instead of typed (JetBrains call it the ratio of completed code). The settings are the
server's defaults, the latencies include its debounce.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from model.evaluate import edits
from model.evaluate.edits import Typed
from model.evaluate.statistics import RESAMPLES
from model.evaluate.task import Answer, EvaluateError, Record, Row, Subject, Workload
from santa_lsp.bench import BenchError
from santa_lsp.bench.client import Client
from santa_lsp.bench.figures import percentile
from santa_lsp.bench.probe import started
from santa_lsp.bench.replay import Pace, Replay, Request
from santa_lsp.document import AUTO_CLOSED

#: The next key follows each answer, and a right completion is taken at once.
TYPING = Pace("typing", waits=True, notices=0.0)

#: Letters and digits that a line must have for its repetition to be a mistake.
LEAST_WORD = 3

#: Characters of the surroundings that the report shows.
AROUND = 1200


class Typing:
    """See the module's docstring and model.evaluate.task."""

    name = "typing"
    summary = "a repository's own code typed against the real server: what is shown, taken, saved"
    batch_size = 8

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--repo", type=Path, required=True, metavar="PATH", help="a git repository, or files"
        )
        parser.add_argument("--commits", type=int, default=100, metavar="N", help="the latest N")

    def load(self, arguments: argparse.Namespace) -> Workload:
        return edits.load(arguments.repo, arguments.commits, arguments.seed)

    @contextmanager
    def answering(self, subject: Subject, arguments: argparse.Namespace) -> Iterator[Answer]:
        argv = [sys.executable, "-m", "santa_lsp", "--stdio"]
        argv += ["--model", str(subject.model.directory), "--threads", str(subject.threads)]
        try:
            with started(argv, {}, {}) as client:
                yield lambda items: [type_one(client, item) for item in items]
        except BenchError as error:
            raise EvaluateError(str(error)) from error

    def rows(self, records: Sequence[Record], arguments: argparse.Namespace) -> list[Row]:
        groups = sorted({record.group for record in records})
        rows = [row for group in groups for row in group_rows(group, records, arguments.seed)]
        return rows if len(groups) < 2 else rows + group_rows("all", records, arguments.seed)


def type_one(client: Client, item: Typed) -> Record:
    """Type one addition."""
    before = client.statistics()
    replay = Replay(client, item.session, TYPING, uri=f"file:///{item.session.name}")
    for _ in replay.play():
        pass
    requests = [request for request in replay.requests if request.ms is not None]
    shown = [request for request in requests if request.shown]
    saved = sum(len(request.shown or "") for request in requests if request.accepted)
    size = sum(len(step.text) for step in item.session.steps)
    counts = {
        "requests": len(requests),
        "shown": len(shown),
        "exact": sum(has_exact_line(request) for request in shown),
        "repeats": sum(repeats_what_follows(request) for request in shown),
        "taken": sum(request.accepted for request in requests),
        "saved": saved,
        "characters": size,
        "tokens": computed(before, client.statistics()),
        "ms": [round(request.ms, 1) for request in requests if request.ms is not None],
    }
    return Record(
        id=item.id,
        group=item.session.language,
        scores={"completed code": saved / size, "shown": len(shown) / max(1, len(requests))},
        right=bool(saved) if shown else None,
        texts=example(shown),
        details=counts,
    )


def computed(before: dict[str, Any] | None, after: dict[str, Any] | None) -> int | None:
    """Tokens that the model has worked on in between, ahead of the user or not."""
    if before is None or after is None:
        return None
    names = ("prefilled", "generated", "prefetched")
    return int(sum(after["tokens"][name] - before["tokens"][name] for name in names))


def first_line(text: str) -> str:
    """Up to the end of the first line that is not blank."""
    body = text.lstrip("\n")
    return text[: len(text) - len(body)] + body.partition("\n")[0].rstrip()


def has_exact_line(request: Request) -> bool:
    """Whether the line that would stand there is the line that comes to stand there; the editor may
    have put its closing bracket after the cursor already."""
    shown, wanted = first_line(request.shown or ""), first_line(request.rest)
    closing = request.text[request.cursor :].partition("\n")[0].rstrip()
    return bool(wanted.strip()) and wanted in (shown, shown + closing)


def repeats_what_follows(request: Request) -> bool:
    """Whether a completion repeats text after the cursor that the user does not type again: the
    rest of the cursor's line, or the next line that is not blank."""
    shown = request.shown or ""
    line, _, below = request.text[request.cursor :].partition("\n")
    if after := line.strip():
        if is_word(after):
            return after in shown and after not in request.rest
        return after[0] in unmatched_closers(shown)
    following = next((each.strip() for each in below.split("\n") if each.strip()), "")
    said = [each.strip() for each in shown.split("\n")]
    typed = [each.strip() for each in request.rest.split("\n")]
    return is_word(following) and following in said and following not in typed


def is_word(text: str) -> bool:
    return sum(map(str.isalnum, text)) >= LEAST_WORD


def unmatched_closers(text: str) -> str:
    """Closing brackets that the text itself has not opened."""
    opened, found = list[str](), ""
    for character in text:
        if character in "([{":
            opened.append(AUTO_CLOSED[character])
        elif opened and character == opened[-1]:
            opened.pop()
        elif character in ")]}":
            found += character
    return found


def example(shown: Sequence[Request]) -> dict[str, str]:
    """The longest completion with its surroundings, for the report."""
    if not shown:
        return {}
    longest = max(shown, key=lambda request: (request.accepted, len(request.shown or "")))
    return {
        "prefix": longest.text[max(0, longest.cursor - AROUND) : longest.cursor],
        "shown": longest.shown or "",
        "typed": longest.rest[: 2 * len(longest.shown or "") + 40],
        "suffix": longest.text[longest.cursor : longest.cursor + AROUND],
    }


def group_rows(group: str, records: Sequence[Record], seed: int) -> list[Row]:
    """Shares are pooled over all requests; their intervals come from resampling whole additions."""
    details = [record.details for record in records if group in (record.group, "all")]
    wanted = [
        ("requests that show something", "shown", "requests", ""),
        ("of these, first line exact", "exact", "shown", ""),
        ("of these, repeat what follows", "repeats", "shown", ""),
        ("completed code", "saved", "characters", ""),
    ]
    if all(found["tokens"] is not None for found in details):
        wanted.append(("computed for a character saved", "tokens", "saved", "tokens"))
    rows = [
        ratio_row(group, metric, part, whole, unit, details, seed)
        for metric, part, whole, unit in wanted
        if any(found[whole] for found in details)
    ]
    ms = [each for found in details for each in found["ms"]]
    for share, metric in ((0.5, "latency p50"), (0.9, "latency p90")):
        if ms:
            rows.append(Row(group, metric, percentile(ms, share), None, None, len(ms), "ms"))
    return rows


def ratio_row(
    group: str,
    metric: str,
    part: str,
    whole: str,
    unit: str,
    details: Sequence[dict[str, Any]],
    seed: int,
) -> Row:
    """The ratio of two sums over `details`, of which the second is not 0."""
    parts, wholes = (np.array([found[name] for found in details], float) for name in (part, whole))
    drawn = np.random.default_rng(seed).integers(0, len(details), (RESAMPLES, len(details)))
    part_sums, whole_sums = parts[drawn].sum(1), wholes[drawn].sum(1)
    ratios = part_sums[whole_sums > 0] / whole_sums[whole_sums > 0]
    low, high = (float(each) for each in np.quantile(ratios, (0.025, 0.975)))
    total = wholes.sum()
    return Row(group, metric, float(parts.sum() / total), low, high, int(total), unit)
