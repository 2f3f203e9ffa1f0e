"""Two results side by side: the same questions, two models or two settings, and whether the
difference could be chance.

A score that is right or wrong is tested with McNemar's exact test (McNemar 1947), any other mean
with a paired bootstrap; the interval of the difference is the paired bootstrap's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from model.evaluate import report, table
from model.evaluate.run import Result
from model.evaluate.statistics import bootstrap_interval, mcnemar, paired_bootstrap
from model.evaluate.task import EvaluateError, Record


@dataclass(frozen=True, slots=True)
class Difference:
    """Of one score in one group, over the `count` questions both answered.

    `difference` is second minus first; `only_first`, `only_second` count the questions that one of
    the two gets right alone (None where a score is not right or wrong).
    """

    group: str
    metric: str
    count: int
    first: float
    second: float
    low: float
    high: float
    only_first: int | None
    only_second: int | None
    p: float

    @property
    def difference(self) -> float:
        return self.second - self.first


def compare(
    first: Result, second: Result, groups: tuple[str, str] | None, seed: int
) -> tuple[list[Difference], list[tuple[Record, Record]]]:
    """The differences, and the pairs they are of. `groups` pairs two groups of other names.

    Raises EvaluateError when nothing can be paired.
    """
    pairs = pair(first, second, groups)
    values: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for a, b in pairs:
        group = a.group if a.group == b.group else f"{a.group} | {b.group}"
        for metric in a.scores.keys() & b.scores.keys():
            values.setdefault((group, metric), []).append((a.scores[metric], b.scores[metric]))
    return [measure(*key, found, seed) for key, found in sorted(values.items())], pairs


def pair(
    first: Result, second: Result, groups: tuple[str, str] | None
) -> list[tuple[Record, Record]]:
    known = [list(dict.fromkeys(each.group for each in side.records)) for side in (first, second)]
    for side, names, wanted in zip(("first", "second"), known, groups or (), strict=False):
        if wanted not in names:
            raise EvaluateError(f"the {side} result has no {wanted!r}, it has {', '.join(names)}")
    chosen = [groups] if groups else [(name, name) for name in known[0] if name in known[1]]
    pairs = []
    for name_a, name_b in chosen:
        others = {each.id: each for each in second.records if each.group == name_b}
        pairs += [
            (each, others[each.id])
            for each in first.records
            if each.group == name_a and each.id in others
        ]
    if not pairs:
        raise EvaluateError(
            "the two results have no question in common: the first has "
            f"{', '.join(known[0])}; the second {', '.join(known[1])}; --group pairs two of them"
        )
    return pairs


def measure(
    group: str, metric: str, values: Sequence[tuple[float, float]], seed: int
) -> Difference:
    first, second = ([pair[side] for pair in values] for side in (0, 1))
    differences = [b - a for a, b in values]
    low, high = bootstrap_interval(differences, seed)
    only_first = only_second = None
    if {*first, *second} <= {0.0, 1.0}:
        only_first, only_second = differences.count(-1.0), differences.count(1.0)
        p = mcnemar(only_first, only_second)
    else:
        p = paired_bootstrap(differences, seed)
    count = len(values)
    means = sum(first) / count, sum(second) / count
    return Difference(group, metric, count, *means, low, high, only_first, only_second, p)


def cells(found: Sequence[Difference]) -> list[list[str]]:
    head = ["", "", "first", "second", "difference", "95 % interval"]
    lines = [[*head, "only first", "only second", "of", "p"]]
    for each in found:
        lines.append(
            [
                each.group,
                each.metric,
                f"{each.first:.4f}",
                f"{each.second:.4f}",
                f"{each.difference:+.4f}",
                table.interval(each.low, each.high),
                "" if each.only_first is None else str(each.only_first),
                "" if each.only_second is None else str(each.only_second),
                str(each.count),
                f"{each.p:.4f}" if each.p >= 0.0001 else "<.0001",
            ]
        )
    return lines


def as_json(first: Result, second: Result, found: Sequence[Difference]) -> dict[str, Any]:
    rows = [{**dataclasses.asdict(each), "difference": each.difference} for each in found]
    return {"first": first.run, "second": second.run, "rows": rows}


def render(
    first: Result,
    second: Result,
    found: Sequence[Difference],
    pairs: Sequence[tuple[Record, Record]],
) -> str:
    """The page: the table, and the questions that one of the two gets right alone."""
    about = {
        side: f"{result.run['task']}, {result.run['model']['name']}, {report.settings(result.run)}"
        for side, result in (("first", first), ("second", second))
    }
    apart = [merged(a, b) for a, b in pairs if a.right != b.right]
    sections = [report.html_cells(cells(found)), *report.examples(apart)]
    return report.page("two results compared", about, sections)


def merged(first: Record, second: Record) -> Record:
    """The second's answer and, where it differs, the first's beside it."""
    differing = {
        f"{title}, by the first": text
        for title, text in first.texts.items()
        if second.texts.get(title) != text
    }
    group = "only the second is right" if second.right else "only the first is right"
    return dataclasses.replace(second, group=group, texts={**second.texts, **differing})
