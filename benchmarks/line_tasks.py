"""Single lines of source files as infilling tasks: whole ones, and their rests.

    python -m benchmarks.line_tasks SOURCES OUT --language python [--tasks 400]
    python -m model.evaluate fim --data OUT/rest.jsonl --language python --no-run --model MODEL

OUT gets `whole.jsonl` and `rest.jsonl`. A rest begins at a random column, as when one stops typing
there; comment lines and lines of under four characters are left out.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path

from model.languages import LANGUAGES, language_of

SEED = 0
COMMENTS = ("#", "//", "/*", "*")


def is_code(text: str) -> bool:
    """Whether a stripped line is more than a comment or a bracket."""
    return len(text) >= 4 and not text.startswith(COMMENTS)


def gaps(file: Path, name: str, rng: random.Random) -> Iterator[tuple[str, dict[str, str]]]:
    """Each line of a file that holds code, as a task to fill in: whole, and its rest."""
    lines = file.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines):
        text = line.strip()
        if not is_code(text):
            continue
        indent = line.index(text)
        rest = rng.randint(indent + 1, len(line) - 1)
        for kind, column in (("whole", indent), ("rest", rest)):
            yield (
                kind,
                {
                    "task_id": f"{name}:{number + 1}:{column}",
                    "prompt": "\n".join([*lines[:number], line[:column]]),
                    "suffix": "\n".join(["", *lines[number + 1 :]]),
                    "canonical_solution": line[column:],
                },
            )


def write_tasks(repository: Path, files: list[Path], out: Path, most: int) -> None:
    """`whole.jsonl` and `rest.jsonl` with at most `most` tasks each, a fair sample."""
    rng = random.Random(SEED)
    found: dict[str, list[dict[str, str]]] = {"whole": [], "rest": []}
    for file in files:
        for kind, task in gaps(file, str(file.relative_to(repository)), rng):
            found[kind].append(task)
    for kind, tasks in found.items():
        chosen = rng.sample(tasks, min(most, len(tasks)))
        (out / f"{kind}.jsonl").write_text("".join(json.dumps(task) + "\n" for task in chosen))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--language", choices=LANGUAGES, required=True)
    parser.add_argument("--tasks", type=int, default=400, metavar="N", help="of each kind, at most")
    options = parser.parse_args()
    files = sorted(options.sources.rglob("*.*"))
    files = [file for file in files if language_of(file.name) == options.language]
    options.out.mkdir(parents=True, exist_ok=True)
    write_tasks(options.sources, files, options.out, options.tasks)


if __name__ == "__main__":
    main()
