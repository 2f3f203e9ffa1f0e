"""Draw the losses of runs over their tokens, several runs on one plot.

python -m model.plot runs/adamw runs/muon --output losses.svg
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from model.runlog import Line, read_log

#: Points of a line; a plot this wide shows no more.
POINTS = 300


def smoothed(log: list[Line]) -> list[tuple[float, float]]:
    """(million tokens, mean training loss of the steps since the point before)."""
    size = max(1, len(log) // POINTS)
    chunks = [log[start : start + size] for start in range(0, len(log), size)]
    return [
        (chunk[-1]["tokens"] / 1e6, sum(line["loss"] for line in chunk) / len(chunk))
        for chunk in chunks
    ]


def plot(runs: list[Path], output: Path) -> None:
    """Write an SVG. One run: validation losses by language. Several: their mean."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4.5))
    for number, run in enumerate(runs):
        log = read_log(run)
        color = f"C{number}" if len(runs) > 1 else "0.6"
        label = run.name if len(runs) > 1 else "training"
        axes.plot(*zip(*smoothed(log), strict=True), color=color, alpha=0.5, lw=1)
        evaluated = [line for line in log if line.get("validation")]
        lines: dict[str, list[Any]] = {}
        for line in evaluated:
            losses = line["validation"]
            if len(runs) > 1:
                losses = {label: sum(losses.values()) / len(losses)}
            for name, loss in losses.items():
                lines.setdefault(name, []).append((line["tokens"] / 1e6, loss))
        for name, points in lines.items():
            options: dict[str, Any] = {"color": color} if len(runs) > 1 else {}
            axes.plot(*zip(*points, strict=True), marker=".", label=name, **options)
        if not lines:
            axes.plot([], [], color=color, label=label)
    axes.set(xlabel="million tokens", ylabel="loss, nats per token")
    if len(runs) > 1:
        axes.set_title("thin: training, dotted: validation, mean over languages", fontsize=9)
    axes.legend()
    figure.savefig(output, bbox_inches="tight")
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders of model.train")
    parser.add_argument("--output", type=Path, default=Path("losses.svg"), metavar="FILE.svg")
    arguments = parser.parse_args()
    if empty := [run for run in arguments.runs if not read_log(run)]:
        sys.exit(f"error: {empty[0]} has no log.jsonl; is it a folder that model.train wrote?")
    plot(arguments.runs, arguments.output)
    print(arguments.output)


if __name__ == "__main__":
    main()
