"""Completions at random places of source files, unedited, as a Markdown table.

    python -m benchmarks.completions SOURCES [--model NAME|DIR] [--count 20] [--seed 0]
    python -m benchmarks.completions SOURCES --thresholds --count 1000

Requested as the server requests, with its default settings, at random columns of random lines of
code, the rest of the line taken away, until `--count` places show something. With `--thresholds`
everything is shown, and the table has the share that each minConfidence lets through.
"""

from __future__ import annotations

import argparse
import itertools
import math
import random
from collections.abc import Iterator
from pathlib import Path

from benchmarks.line_tasks import is_code
from model.corpus import Document, iter_documents
from santa_lsp import EMBEDDED, models
from santa_lsp.completion.cache import CompletionCache
from santa_lsp.completion.completer import Completer, Outcome
from santa_lsp.completion.context import CompletionContext
from santa_lsp.engines.ctranslate2 import CTranslate2Engine
from santa_lsp.settings import Settings

Places = Iterator[tuple[CompletionContext, str]]


def place(document: Document, rng: random.Random) -> tuple[CompletionContext, str] | None:
    """A context in a random line of code, and the text taken away; None for another line."""
    lines = document.text.split("\n")
    number = rng.randrange(len(lines))
    line = lines[number]
    text = line.strip()
    if not is_code(text):
        return None
    column = rng.randint(line.index(text), len(line) - 1)
    prefix = "\n".join([*lines[:number], line[:column]])
    suffix = "\n".join(["", *lines[number + 1 :]])
    path = document.path
    context = CompletionContext(document.language, path, prefix, suffix, uri=path)
    return context, line[column:]


#: Values of minConfidence to choose between.
THRESHOLDS = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


def cell(text: str) -> str:
    """One line of text as code in a table."""
    return "`" + text.replace("|", "\\|").replace("\n", "⏎").strip() + "`" if text.strip() else ""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", type=Path)
    parser.add_argument("--model", default=EMBEDDED, metavar="NAME|DIR")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--thresholds", action="store_true")
    options = parser.parse_args()
    engine = CTranslate2Engine(models.find(options.model), "cpu")
    settings = Settings(min_confidence=0.0) if options.thresholds else Settings()
    completer = Completer(engine, settings, CompletionCache())
    places = places_in(list(iter_documents(options.sources)), random.Random(options.seed))
    if options.thresholds:
        print_thresholds(completer, places, options.count)
    else:
        print_completions(completer, places, options.count)


def places_in(
    documents: list[Document], rng: random.Random
) -> Iterator[tuple[CompletionContext, str]]:
    """Contexts, each with the text taken away, without end."""
    while True:
        if found := place(rng.choice(documents), rng):
            yield found


def answer(completer: Completer, context: CompletionContext) -> Outcome:
    """The outcome of an automatic request: recalled, refused or computed, as in the server."""
    return completer.recall(context) or completer.gate(context) or completer.complete(context)


def print_thresholds(completer: Completer, places: Places, count: int) -> None:
    """For each threshold: how many of `count` places, how often the line's rest exactly."""
    answers = []
    for context, wanted in itertools.islice(places, count):
        outcome = answer(completer, context)
        if outcome.texts:
            exact = outcome.texts[0].strip() == wanted.strip()
            answers.append((math.exp(outcome.score), exact))
    print(
        "| shown from | share of places | of those, the rest of the line exactly |\n|---|---|---|"
    )
    for threshold in THRESHOLDS:
        kept = [exact for confidence, exact in answers if confidence >= threshold]
        print(f"| {threshold} | {len(kept) / count:.3f} | {sum(kept) / max(1, len(kept)):.3f} |")


def print_completions(completer: Completer, places: Places, count: int) -> None:
    """The first `count` that are shown something."""
    print("| file | before │ completion | it was |\n|---|---|---|")
    asked = shown = right = 0
    for context, wanted in places:
        asked += 1
        outcome = answer(completer, context)
        if not outcome.texts:
            continue
        text = outcome.texts[0]
        shown += 1
        right += text.strip() == wanted.strip()
        before = context.line_prefix.strip()[-40:]
        name = Path(context.path).name
        print(f"| {name} | {cell(before)}│{cell(text)} | {cell(wanted)} |")
        if shown == count:
            break
    print(f"\n{asked} places asked, {shown} shown something, {right} exactly what was there.")


if __name__ == "__main__":
    main()
