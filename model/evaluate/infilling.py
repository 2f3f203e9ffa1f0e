"""Infilling tasks: OpenAI's sets as they are, and single lines rebuilt from HumanEval-X.

OpenAI's (Bavarian et al. 2022, arXiv:2207.14255) have `prompt`, `suffix`, `canonical_solution`, and
`test` and `entry_point` to run. The Java and JavaScript sets behind SantaCoder's figures were
not published with HumanEval-X; they are rebuilt by the paper's recipe: comment lines are dropped
from each solution, then every line that is not blank is one task.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from model.evaluate import files
from model.evaluate.task import EvaluateError, Workload

Kind = Literal["single-line", "multi-line", "random-span", "random-span-light"]
KINDS: tuple[Kind, ...] = ("single-line", "multi-line", "random-span", "random-span-light")

#: File names by set; `find` looks in all folders below --data.
_PATTERNS: dict[tuple[str, str], tuple[str, ...]] = {
    ("single-line", "python"): ("*SingleLineInfilling.jsonl*",),
    ("multi-line", "python"): ("*MultiLineInfilling.jsonl*",),
    ("random-span", "python"): ("*RandomSpanInfilling.jsonl*",),
    ("random-span-light", "python"): ("*RandomSpanInfillingLight.jsonl*",),
    ("single-line", "java"): ("humaneval_java.jsonl*",),
    ("single-line", "javascript"): ("humaneval_js.jsonl*", "humaneval_javascript.jsonl*"),
}
#: Those that there are data for.
LANGUAGES = tuple(dict.fromkeys(language for _, language in _PATTERNS))
_COMMENT_STARTS = ("//", "/*", "*/", "* ", "#")


@dataclass(frozen=True, slots=True)
class Gap:
    """Text with a piece taken out. `test` is Python to append and run, or empty."""

    id: str
    language: str
    kind: Kind
    prefix: str
    middle: str
    suffix: str
    test: str = ""

    def program(self, middle: str) -> str:
        return f"{self.prefix}{middle}{self.suffix}\n{self.test}"


def load(data: Path | None, kind: Kind, languages: list[str] | None) -> Workload:
    """The gaps of one kind, of every language there are data for unless `languages` are named.

    Raises EvaluateError.
    """
    place = files.location(data)
    gaps: list[Gap] = []
    sources: dict[str, str] = {}
    for language in languages or LANGUAGES:
        path = place if place.is_file() else _find(place, kind, language)
        if path is None:
            if languages:
                raise EvaluateError(f"{place} has no {kind} infilling data for {language}")
            continue
        rows, digest = files.read_rows(path, "task_id", "prompt", "canonical_solution")
        gaps += _gaps(rows, path, kind, language)
        sources[path.name] = digest
        if place.is_file() and not languages:
            break
    if not gaps:
        raise EvaluateError(f"{place} has no {kind} infilling data")
    return Workload(gaps, sources)


def _find(folder: Path, kind: Kind, language: str) -> Path | None:
    return files.find(folder, _PATTERNS.get((kind, language), ()))


def _gaps(rows: list[dict[str, Any]], path: Path, kind: Kind, language: str) -> Iterator[Gap]:
    for number, row in enumerate(rows, 1):
        if "suffix" in row:
            yield _published(row, kind, language)
        elif "declaration" in row:
            # HumanEval-X names the language in the id: a file of it needs no --language.
            named = str(row["task_id"]).partition("/")[0].lower()
            yield from rebuild(row, named if named in LANGUAGES else language)
        else:
            raise EvaluateError(
                f"{path}:{number} has no suffix: neither infilling nor HumanEval-X data"
            )


def _published(row: dict[str, Any], kind: Kind, language: str) -> Gap:
    test = ""
    if row.get("test") and row.get("entry_point"):
        test = f"{row['test']}\ncheck({row['entry_point']})\n"
    prefix, middle, suffix = (row[key] for key in ("prompt", "canonical_solution", "suffix"))
    return Gap(str(row["task_id"]), language, kind, prefix, middle, suffix, test)


def rebuild(row: dict[str, Any], language: str) -> Iterator[Gap]:
    """One single-line gap for each line of a HumanEval-X solution that is code."""
    lines = [
        line
        for line in row["canonical_solution"].splitlines(keepends=True)
        if not line.strip().startswith(_COMMENT_STARTS) and line.strip() != "*"
    ]
    for number, line in enumerate(lines):
        if line.strip():
            before = row["prompt"] + "".join(lines[:number])
            after = "".join(lines[number + 1 :])
            yield Gap(f"{row['task_id']}/L{number}", language, "single-line", before, line, after)
