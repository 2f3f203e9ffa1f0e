"""Comparing two results, and the page that shows a result."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from model.evaluate import compare, report, run
from model.evaluate.plot import Bar, bars, ceiling
from model.evaluate.run import Result
from model.evaluate.statistics import mcnemar, mean_rows, paired_bootstrap
from model.evaluate.task import EvaluateError, Record, Row
from tests.model.test_evaluate import command

RUN = {
    "format": run.FORMAT,
    "task": "fim",
    "model": {"name": "a<b", "sha256": "0" * 64},
    "settings": {"seed": 0, "order": ["psm"], "language": None},
    "sources": {"x.jsonl": "1" * 64},
}


def result(right: list[int], group: str = "python", score: float = 0.5) -> Result:
    records = [
        Record(
            f"q{number}",
            group,
            {"exact match": float(each), "edit similarity": score + each / 4},
            bool(each),
            {
                "prefix": "a\n" * 30,
                "said": f"<b>&{number}</b>",
                "suffix": "z",
                "expected": "</pre>",
            },
        )
        for number, each in enumerate(right)
    ]
    return Result(RUN, mean_rows(records, 0), records)


def test_mcnemar_is_exact() -> None:
    # By hand: 2 * (C(10, 0) + C(10, 1)) / 2^10.
    assert mcnemar(1, 9) == mcnemar(9, 1) == pytest.approx(22 / 1024)
    assert mcnemar(0, 0) == mcnemar(5, 5) == 1
    assert mcnemar(0, 2000) < 1e-300
    # Published worked example (Agresti, Categorical Data Analysis, table 10.1): 86 against 150.
    assert mcnemar(86, 150) < 0.0001


def test_a_paired_bootstrap_finds_a_difference_and_none() -> None:
    random = np.random.default_rng(0)
    noise = random.normal(0, 1, 400)
    assert paired_bootstrap(list(noise - noise.mean()), 0) > 0.9
    assert paired_bootstrap(list(noise + 0.5), 0) < 0.001
    assert paired_bootstrap([0.0] * 9, 0) == 1
    # Near the t test's for a mean two standard errors away (.0455).
    assert 0.03 < paired_bootstrap(list((noise - noise.mean()) / noise.std() + 0.1), 0) < 0.06


def test_two_results_are_compared_question_by_question() -> None:
    first, second = result([1, 0, 0, 0, 1, 0]), result([1, 1, 1, 1, 0, 0])
    found, pairs = compare.compare(first, second, None, 0)
    exact = next(each for each in found if each.metric == "exact match")
    assert (exact.first, exact.second) == pytest.approx((1 / 3, 2 / 3))
    assert (exact.only_first, exact.only_second, exact.p) == (1, 3, mcnemar(1, 3))
    assert exact.low <= exact.difference <= exact.high
    similarity = next(each for each in found if each.metric == "edit similarity")
    assert similarity.only_first is None
    assert similarity.difference == pytest.approx(1 / 12)
    page = compare.render(first, second, found, pairs)
    assert "only the second is right" in page
    assert "q5" not in page  # both wrong


def test_settings_with_other_names_are_paired_by_hand() -> None:
    first, second = result([1, 0, 1], "python psm"), result([1, 1, 1, 1], "python spm")
    with pytest.raises(EvaluateError, match=r"no question in common.*--group"):
        compare.compare(first, second, None, 0)
    with pytest.raises(EvaluateError, match="the second result has no 'x', it has python spm"):
        compare.compare(first, second, ("python psm", "x"), 0)
    found, pairs = compare.compare(first, second, ("python psm", "python spm"), 0)
    assert len(pairs) == 3
    assert {each.group for each in found} == {"python psm | python spm"}


class Page(HTMLParser):
    """What a browser sees: every tag is closed, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in {"meta", "input", "html"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag != "html":
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_is_whole_escaped_and_needs_nothing_else() -> None:
    page = Page(report.render(result([1, 0, 0])))
    assert page.open == []
    assert "fim: a<b" in page.text
    assert "seed 0, order psm" in page.text
    assert "<b>&1</b>" in page.text
    assert page.text.count("</pre>") == 3
    assert "1 right, 2 wrong; 3 shown" in page.text
    kinds = [attributes["class"] for tag, attributes in page.seen if tag == "details"]
    assert kinds == ["right", "wrong", "wrong"]
    assert not {tag for tag, _ in page.seen} & {"script", "link", "img", "iframe", "b"}
    assert not [1 for _, attributes in page.seen if attributes.keys() & {"src", "href"}]
    assert len([1 for tag, _ in page.seen if tag == "svg"]) == 2


def test_long_sets_show_some_of_each_kind() -> None:
    page = report.render(result([1] * 10 + [0] * 500))
    assert page.count('<details class="right">') == 10
    assert page.count('<details class="wrong">') == report.SHOWN


def test_bars_end_below_a_round_number_and_mark_what_is_published() -> None:
    assert [ceiling(value) for value in (0.003, 0.05, 0.44, 1, 1.1, 730)] == pytest.approx(
        [0.005, 0.05, 0.5, 1, 2, 1000]
    )
    svg = bars([Bar("a & b", 0.2, 0.1, 0.3, 0.44), Bar("c", 0.0)])
    assert "a &amp; b" in svg
    assert svg.count('class="mark"') == svg.count('class="interval"') == 1
    assert bars([Bar("nothing", 0.0)])
    row = Row("requests", "latency", 730.0, None, None, 9, "ms")
    assert "730 ms" in "".join(report.plots([row]))


def test_the_compare_command(tmp_path: Path) -> None:
    for name, right in (("a", [1, 0, 0]), ("b", [1, 1, 0])):
        text = json.dumps(result(right).as_json())
        (tmp_path / f"{name}.json").write_text(text)
    a, b, html, out = (str(tmp_path / name) for name in ("a.json", "b.json", "c.html", "c.json"))
    done = command("compare", a, b, "--html", html, "--json", out)
    assert done.returncode == 0, done.stderr
    assert "difference" in done.stdout
    assert json.loads(Path(out).read_text())["rows"][1]["only_second"] == 1
    assert "two results compared" in Path(html).read_text()
    done = command("compare", a, str(tmp_path / "none.json"))
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
