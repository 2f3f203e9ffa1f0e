"""Completions at random places of source files, unedited, as a Markdown table.

    python -m benchmarks.completions SOURCES [--model NAME|DIR] [--count 20] [--seed 0]

Asked as the server asks, with its default settings, at random columns of random lines of code,
the rest of the line taken away, until `--count` places have been shown something.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from model.corpus import Document, iter_documents
from santa_lsp import models
from santa_lsp.cache import CompletionCache
from santa_lsp.completer import Completer, CompleterConfig, Completion
from santa_lsp.context import CompletionContext
from santa_lsp.engines.ctranslate2 import CTranslate2Engine
from santa_lsp.settings import Settings


def place(document: Document, rng: random.Random) -> tuple[CompletionContext, str] | None:
    """A context in a random line of code, and what stood there; None for another line."""
    lines = document.text.split("\n")
    number = rng.randrange(len(lines))
    line = lines[number]
    text = line.strip()
    if len(text) < 4 or text.startswith(("#", "//", "/*", "*")):
        return None
    column = rng.randint(line.index(text), len(line) - 1)
    prefix = "\n".join([*lines[:number], line[:column]])
    suffix = "\n".join(["", *lines[number + 1 :]])
    return CompletionContext(document.language, document.path, prefix, suffix), line[column:]


def cell(text: str) -> str:
    """One line of text as code in a table."""
    return "`" + text.replace("|", "\\|").replace("\n", "⏎").strip() + "`" if text.strip() else ""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", type=Path)
    parser.add_argument("--model", default=models.EMBEDDED, metavar="NAME|DIR")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    engine = CTranslate2Engine(models.find(options.model), "cpu")
    settings = Settings()
    config = CompleterConfig(
        max_new_tokens=settings.max_new_tokens, min_confidence=settings.min_confidence
    )
    documents = list(iter_documents(options.sources))
    rng = random.Random(options.seed)
    print("| file | before │ completion | it was |\n|---|---|---|")
    asked = shown = right = 0
    while shown < options.count:
        document = rng.choice(documents)
        found = place(document, rng)
        if found is None:
            continue
        context, wanted = found
        asked += 1
        result = Completer(engine, config, CompletionCache()).complete(context)
        if not isinstance(result, Completion):
            continue
        shown += 1
        right += result.text.strip() == wanted.strip()
        before = context.line_prefix.strip()[-40:]
        name = Path(document.path).name
        print(f"| {name} | {cell(before)}│{cell(result.text)} | {cell(wanted)} |")
    print(f"\n{asked} places asked, {shown} shown something, {right} exactly what was there.")


if __name__ == "__main__":
    main()
