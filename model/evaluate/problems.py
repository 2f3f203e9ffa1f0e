"""Programming problems: HumanEval and MBPP in Python, MultiPL-E's translations of them.

A problem is a prompt to continue from its left alone, the texts at which to stop, and tests to
append. HumanEval's Python stops are MultiPL-E's (Cassano et al. 2022, arXiv:2208.08227); MBPP's
Python prompts are made in MultiPL-E's form from the data's sentence and the solution's signature.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.evaluate import files
from model.evaluate.task import EvaluateError, Workload

PYTHON_STOPS = ("\ndef", "\n#", "\nif", "\nclass")

_PATTERNS = {
    ("humaneval", "python"): ("HumanEval.jsonl*", "humaneval-py.jsonl*"),
    ("humaneval", "javascript"): ("humaneval-js.jsonl*",),
    ("humaneval", "java"): ("humaneval-java.jsonl*",),
    ("mbpp", "python"): ("mbpp_test.jsonl*", "mbpp-py.jsonl*"),
    ("mbpp", "javascript"): ("mbpp-js.jsonl*",),
    ("mbpp", "java"): ("mbpp-java.jsonl*",),
}
#: Those that there are data for.
BENCHMARKS = tuple(dict.fromkeys(benchmark for benchmark, _ in _PATTERNS))
LANGUAGES = tuple(dict.fromkeys(language for _, language in _PATTERNS))


@dataclass(frozen=True, slots=True)
class Problem:
    """`prompt + completion + "\\n" + tests` is the program to run."""

    id: str
    benchmark: str
    language: str
    prompt: str
    stops: tuple[str, ...]
    tests: str

    @property
    def group(self) -> str:
        return f"{self.benchmark} {self.language}"

    def program(self, completion: str) -> str:
        return f"{self.prompt}{completion}\n{self.tests}"


def load(data: Path | None, benchmarks: list[str] | None, languages: list[str] | None) -> Workload:
    """The problems of the named benchmarks, by default of all with data. Raises EvaluateError.

    If --data is a file, `benchmarks` and `languages` must name its content.
    """
    place = files.location(data)
    if place.is_file() and (len(benchmarks or ()) != 1 or len(languages or ()) != 1):
        raise EvaluateError(f"say what {place} holds: one --benchmark and one --language")
    problems: list[Problem] = []
    sources: dict[str, str] = {}
    for benchmark in benchmarks or BENCHMARKS:
        for language in languages or LANGUAGES:
            path = place
            if place.is_dir():
                found = files.find(place, _PATTERNS[benchmark, language])
                if found is None and benchmarks and languages:
                    raise EvaluateError(f"{place} has no data of {benchmark} in {language}")
                if found is None:
                    continue
                path = found
            rows, digest = files.read_rows(path)
            problems += [problem(row, benchmark, language, path) for row in rows]
            sources[path.name] = digest
    if not problems:
        raise EvaluateError(f"{place} has no problems in {' or '.join(languages or LANGUAGES)}")
    return Workload(problems, sources)


def problem(row: dict[str, Any], benchmark: str, language: str, path: Path) -> Problem:
    """One row of any of the formats. Raises EvaluateError."""
    try:
        if "stop_tokens" in row:
            name, prompt, tests = row["name"], row["prompt"], row["tests"]
            stops = tuple(row["stop_tokens"])
        elif "entry_point" in row:
            name, prompt, stops = row["task_id"], row["prompt"], PYTHON_STOPS
            tests = f"{row['test']}\ncheck({row['entry_point']})"
        else:
            name, stops = f"MBPP/{row['task_id']}", PYTHON_STOPS
            prompt, tests = mbpp_prompt(row), "\n".join(row["test"])
    except (KeyError, TypeError, SyntaxError, StopIteration) as error:
        raise EvaluateError(
            f"{path} holds no problems of MultiPL-E, HumanEval or MBPP: {error!r} in a row"
        ) from error
    return Problem(f"{benchmark} {language} {name}", benchmark, language, prompt, stops, tests)


def mbpp_prompt(row: dict[str, Any]) -> str:
    """The signature of the function that the tests call, and the sentence as its docstring."""
    functions = [node for node in ast.parse(row["code"]).body if isinstance(node, ast.FunctionDef)]
    tests = "\n".join(row["test"])
    tested = next(each for each in functions if re.search(rf"\b{each.name}\b", tests))
    signature = f"def {tested.name}({ast.unparse(tested.args)}):"
    return f'{signature}\n    """\n    {row["prompt"]}\n    """\n'
