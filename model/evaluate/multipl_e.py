"""Programs written from a prompt and run against tests: pass@k, the share of problems that are
solved when k samples may be tried (Chen et al. 2021, arXiv:2107.03374), as MultiPL-E measures it
(Cassano et al. 2022, arXiv:2208.08227).

The prompt is stripped; samples come from the nucleus of top_p .95, end at the data's own stop
texts, and are run with the problem's tests in a sandbox. pass@1 is read at temperature .2, pass@10
and pass@100 at .8, with the unbiased estimator, from as many samples as there are.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from model.evaluate import problems, programs
from model.evaluate.problems import Problem
from model.evaluate.programs import Programs
from model.evaluate.sampling import Sampler
from model.evaluate.statistics import mean_rows, pass_at_k
from model.evaluate.task import Answer, EvaluateError, Record, Row, Subject, Workload, positive
from model.execution import Outcome
from santa_lsp.completion.engine import Limits

TOP_P = 0.95
KS = (1, 10, 100)
#: SantaCoder's model card: pass@1 at temperature .2, the others at .8.
PUBLISHED = {
    "humaneval python": (0.18, 0.29, 0.49),
    "humaneval javascript": (0.16, 0.27, 0.47),
    "humaneval java": (0.15, 0.26, 0.41),
    "mbpp python": (0.35, 0.58, 0.77),
    "mbpp javascript": (0.28, 0.51, 0.70),
    "mbpp java": (0.28, 0.44, 0.59),
}


class MultiPLE:
    """See the module's docstring and model.evaluate.task."""

    name = "multipl-e"
    summary = "HumanEval and MBPP in Python, JavaScript, Java: pass@k of programs that are run"
    batch_size = 1

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--benchmark", nargs="+", choices=problems.BENCHMARKS, help="default: all there are"
        )
        parser.add_argument(
            "--language", nargs="+", choices=problems.LANGUAGES, help="default: all there are"
        )
        parser.add_argument("--samples", type=positive, default=200, metavar="N", help="a problem")
        parser.add_argument("--temperature", nargs="+", type=float, default=[0.2, 0.8])
        parser.add_argument("--max-new-tokens", type=positive, default=650, metavar="N")
        programs.add_arguments(parser)

    def load(self, arguments: argparse.Namespace) -> Workload:
        if min(arguments.temperature) <= 0:
            raise EvaluateError("--temperature is above 0: pass@k is of samples")
        work = problems.load(arguments.data, arguments.benchmark, arguments.language)
        # Before anything is generated: raises if a language cannot be run here.
        with Programs(arguments, {each.language for each in work.items}):
            return work

    @contextmanager
    def answering(self, subject: Subject, arguments: argparse.Namespace) -> Iterator[Answer]:
        with Programs(arguments) as running:

            def answer(batch: Sequence[Problem]) -> list[Record]:
                return [
                    solve(subject, running, each, temperature, arguments)
                    for each in batch
                    for temperature in arguments.temperature
                ]

            yield answer

    def rows(self, records: Sequence[Record], arguments: argparse.Namespace) -> list[Row]:
        published = {
            (f"{group} T {0.2 if k == 1 else 0.8:g}", f"pass@{k}"): value
            for group, values in PUBLISHED.items()
            for k, value in zip(KS, values, strict=True)
        }
        return mean_rows(records, arguments.seed, published)


def solve(
    subject: Subject,
    running: Programs,
    problem: Problem,
    temperature: float,
    arguments: argparse.Namespace,
) -> Record:
    """Sample, run, count."""
    sampler = Sampler(subject, arguments.seed, f"{problem.id} {temperature}")
    limits = Limits(arguments.max_new_tokens, temperature=temperature, top_p=TOP_P)
    said = sampler.sample(problem.prompt.strip(), arguments.samples, limits, problem.stops)
    outcomes = running.run(problem.language, [problem.program(text) for text in said])
    passed = sum(outcome.passed for outcome in outcomes)
    group = f"{problem.group} T {temperature:g}"
    return Record(
        problem.id,
        group,
        {f"pass@{k}": pass_at_k(len(said), passed, k) for k in KS if k <= len(said)},
        passed > 0,
        texts(problem, said, outcomes),
        {
            "samples": len(said),
            "passed": passed,
            "distinct": len(set(said)),
            **Counter(outcome.verdict for outcome in outcomes),
        },
    )


def texts(problem: Problem, said: Sequence[str], outcomes: Sequence[Outcome]) -> dict[str, str]:
    """A sample that passes, if there is one, and the first that does not, with its complaint."""
    shown = {"prefix": problem.prompt}
    for text, outcome in zip(said, outcomes, strict=True):
        if outcome.passed:
            shown.setdefault("said, passes", text)
        elif "said, fails" not in shown:
            shown |= {"said, fails": text, "complaint": f"{outcome.verdict}\n{outcome.output}"}
    return {**shown, "tests": problem.tests}
