"""The gain of fine-tuning on a repository, on files of it that training has not seen.

    python -m benchmarks.studies.fine_tuning REPOSITORY OUT [--model NAME|DIR] [--tasks 3000]

One Python file in four is held out, by a hash of its path; the model is fine-tuned on the rest as
a user would (`python -m model.train --init-from MODEL --data … --out …`), and both models fill
in single lines taken out of the held-out files: whole ones, and their rests from a random column
on, as after a pause in typing. Exact match, greedy, and a paired test between the two.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.line_tasks import write_tasks
from santa_lsp import EMBEDDED

HELD_OUT = 4


def split(repository: Path, train: Path) -> list[Path]:
    """Copy `repository` to `train` without the held-out files, whose paths are returned."""
    shutil.copytree(repository, train)
    held_out = []
    for file in sorted(repository.rglob("*.py")):
        name = str(file.relative_to(repository))
        if int(hashlib.sha256(name.encode()).hexdigest(), 16) % HELD_OUT == 0:
            held_out.append(file)
            (train / name).unlink()
    return held_out


def run(*arguments: str | Path) -> None:
    """Run a command of this project, and show it."""
    words = [str(argument) for argument in arguments]
    print("$ python -m " + " ".join(words), flush=True)
    subprocess.run([sys.executable, "-m", *words], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("repository", type=Path)
    parser.add_argument("out", type=Path, help="a new folder")
    parser.add_argument("--model", default=EMBEDDED, metavar="NAME|DIR")
    parser.add_argument(
        "--tasks", type=int, default=3000, metavar="N", help="of each kind, at most"
    )
    options = parser.parse_args()
    out: Path = options.out
    if out.exists():
        parser.error(f"{out} exists: give a new folder")
    held_out = split(options.repository, out / "train")
    write_tasks(options.repository, held_out, out, options.tasks)
    print(f"{len(held_out)} files held out")
    run("model.train", "--init-from", options.model, "--data", out / "train", "--out", out / "run")
    run("model.export", out / "run", out / "model")
    for kind in ("whole", "rest"):
        results = []
        for name, model in (("before", options.model), ("after", out / "model")):
            results.append(out / f"{kind}-{name}.json")
            data = ("--data", out / f"{kind}.jsonl", "--json", results[-1])
            run("model.evaluate", "fim", "--model", model, *data)
        run("model.evaluate", "compare", *results)


if __name__ == "__main__":
    main()
