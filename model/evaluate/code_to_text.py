"""Describe a function: smoothed BLEU-4 against its docstring, on CodeXGLUE's code-to-text
files (Lu et al. 2021, arXiv:2102.04664), asked as SantaCoder was (arXiv:2301.03988).

The prompt is the function without its docstring and the beginning of a comment; the answer is the
first line, greedy. A row has `code`, `docstring` and, where it is the benchmark's own, the
`docstring_tokens` that the answer is compared with.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from model.evaluate import files
from model.evaluate.bleu import bleu
from model.evaluate.statistics import mean_rows
from model.evaluate.task import Answer, EvaluateError, Record, Row, Subject, Workload
from santa_lsp.completion.engine import Limits
from santa_lsp.engines.local import LocalEngine, Token
from santa_lsp.families.prompt import prefix_window

MAX_NEW_TOKENS = 64
QUESTION = "The goal of this function is to:\n"
OPENINGS = {"python": '\n""" ', "java": "\n/* ", "javascript": "\n/* "}
METRIC = "smoothed BLEU-4"
#: SantaCoder's model card: 18.13.
PUBLISHED = {("python", METRIC): 0.1813}


@dataclass(frozen=True, slots=True)
class Function:
    """`code` has no docstring; `wanted` is the text of the one it had."""

    id: str
    language: str
    code: str
    wanted: str

    @property
    def prompt(self) -> str:
        return self.code + OPENINGS[self.language] + QUESTION


class CodeToText:
    """See the module's docstring and model.evaluate.task."""

    name = "code-to-text"
    summary = "describe a function: smoothed BLEU-4 on CodeXGLUE's files"
    batch_size = 32

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--language", choices=tuple(OPENINGS), default="python")

    def load(self, arguments: argparse.Namespace) -> Workload:
        place, language = files.location(arguments.data), arguments.language
        path = place
        if place.is_dir():
            wanted = f"code-to-text/{language}/test.jsonl"
            found = files.find(place, [f"{wanted}*"])
            if found is None:
                raise EvaluateError(f"{place} has no {wanted} (or .jsonl.gz) of CodeXGLUE")
            path = found
        rows, digest = files.read_rows(path, "code", "docstring")
        functions = [function(row, number, language) for number, row in enumerate(rows)]
        return Workload(functions, {path.name: digest})

    @contextmanager
    def answering(self, subject: Subject, arguments: argparse.Namespace) -> Iterator[Answer]:
        yield lambda functions: [
            record_of(each, first_line(subject.engine, each.prompt)) for each in functions
        ]

    def rows(self, records: Sequence[Record], arguments: argparse.Namespace) -> list[Row]:
        return mean_rows(records, arguments.seed, PUBLISHED)


def function(row: dict[str, Any], number: int, language: str) -> Function:
    wanted = " ".join(row["docstring_tokens"]) if "docstring_tokens" in row else row["docstring"]
    code = without_docstring(row["code"], row["docstring"])
    return Function(f"{language} {row.get('url', number)}", language, code, wanted)


def without_docstring(code: str, docstring: str) -> str:
    """`code` without the lines of its docstring; as it is, when it does not hold it in quotes."""
    quoted = rf"""[ \t]*[rRuU]?(\"\"\"|'''|"|')\s*{re.escape(docstring.strip())}\s*\1[ \t]*\n?"""
    return re.sub(quoted, "", code, count=1).rstrip()


def first_line(engine: LocalEngine, text: str) -> str:
    """The first line that is not blank of the text's greedy continuation. Raises EngineError."""
    ids = prefix_window(text, engine.encode, engine.n_positions - MAX_NEW_TOKENS)
    stream, said = engine.text_stream(), ""

    def on_token(token: Token) -> bool:
        nonlocal said
        said += stream(token.id)
        return "\n" in said.lstrip()

    engine.generate_tokens(ids, Limits(MAX_NEW_TOKENS), on_token)
    return said.strip().partition("\n")[0].strip()


def record_of(each: Function, said: str) -> Record:
    score = bleu(said, each.wanted)
    texts = {"prefix": each.prompt, "said": said, "expected": each.wanted}
    return Record(each.id, each.language, {METRIC: score}, None, texts)
