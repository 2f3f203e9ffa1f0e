"""The gain of more compute: bits per byte of held-out code against compute, and a curve.

    python -m benchmarks.studies.scaling SOURCES RUN [RUN ...] [--fit RUN ...] [--plot FILE.svg]

SOURCES is a folder of code that no run has seen. Bits per byte can be compared between
vocabularies, losses per token cannot. The curve is E + A * C^-b (Hoffmann et al. 2022,
arXiv:2203.15556) through the runs of --fit (default: all), which should each have ended their
decay; E, the part that no model predicts, cannot be told from small runs, so both ends are shown:
E = 0 and E = half of the best run's.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from model.corpus import Document, iter_documents
from model.corpus.licences import without_header
from model.gpt import GPT
from model.packing import SLACK, pieces
from model.tokenizer import load
from model.train.checkpoints import find_checkpoint, read_progress
from model.train.speed import flops_per_token
from santa_lsp.families.prompt import path_comment

#: FLOPs that are asked about: half an hour, three hours and a day of a GPU at 300 TFLOP/s.
WANTED = {"half an hour of a large GPU": 5.4e17, "three hours": 3.2e18, "a day": 2.6e19}
#: Tokens of each language that are looked at, at most.
MOST_TOKENS = 15_000


@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    """One run: its compute in FLOPs, and bits per byte by language."""

    name: str
    parameters: int
    tokens: int
    flops: float
    bits: dict[str, float]

    @property
    def mean(self) -> float:
        return sum(self.bits.values()) / len(self.bits)


def point_of(run: Path, documents: list[Document]) -> Point:
    """Reads the run's checkpoint."""
    checkpoint = find_checkpoint(run)
    model = GPT.load(checkpoint).eval()
    tokenizer = load(checkpoint / "tokenizer.json")
    progress = read_progress(checkpoint)
    length = model.config.n_positions
    tokens = progress.step * progress.config.batch_size * length
    bits = {}
    for language in sorted({document.language for document in documents}):
        nats = bytes_seen = tokens_seen = 0.0
        for document in (each for each in documents if each.language == language):
            if tokens_seen > MOST_TOKENS:
                break
            lead = path_comment(language, document.path) if model.config.path_comment else ""
            lead_ids = tokenizer.encode(lead, add_special_tokens=False).ids
            room = length - len(lead_ids) - SLACK
            text = without_header(document.text)
            for piece, _ in pieces(text, tokenizer, lambda room=room: room):
                ids = tokenizer.encode(piece, add_special_tokens=False).ids
                nats += _nats(model, lead_ids, ids) if ids else 0.0
                bytes_seen += len(piece.encode())
                tokens_seen += len(ids)
        bits[language] = nats / bytes_seen / math.log(2)
    flops = tokens * flops_per_token(model.config, length)
    return Point(run.name, model.parameter_count(), tokens, flops, bits)


@torch.inference_mode()
def _nats(model: GPT, lead: list[int], ids: list[int]) -> float:
    """Of `ids` after `lead`; without a lead the first one is free."""
    row = torch.tensor([[*lead, *ids]])
    targets = row[:, 1:].clone()
    targets[:, : max(0, len(lead) - 1)] = -1
    return float(model(row[:, :-1], targets))


def fit(points: list[Point], floor: float) -> tuple[float, float]:
    """A and b of floor + A * C^-b, least squares in logarithms."""
    x = np.log([point.flops for point in points])
    slope, intercept = np.polyfit(x, np.log([point.mean - floor for point in points]), 1)
    return math.exp(intercept), -slope


def draw(points: list[Point], curves: dict[float, tuple[float, float]], output: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4.5))
    reach = np.geomspace(min(point.flops for point in points) / 2, max(WANTED.values()), 200)
    for floor, (a, b) in curves.items():
        axes.plot(reach, floor + a * reach**-b, lw=1, label=f"{floor:.2f} + {a:.3g} C^-{b:.3f}")
    for point in points:
        axes.plot(point.flops, point.mean, "ko", ms=4)
        axes.annotate(point.name, (point.flops, point.mean), fontsize=7, xytext=(3, 3),
                      textcoords="offset points")  # fmt: skip
    for name, flops in WANTED.items():
        axes.axvline(flops, color="0.8", lw=1)
        axes.annotate(name, (flops, axes.get_ylim()[1]), fontsize=7, rotation=90, va="top")
    axes.set(xscale="log", xlabel="FLOPs", ylabel="bits per byte of held-out projects")
    axes.legend()
    figure.savefig(output, bbox_inches="tight")


def rows(points: list[Point]) -> Iterator[str]:
    languages = list(points[0].bits)
    yield "| run | parameters | tokens | FLOPs | " + " | ".join([*languages, "mean"]) + " |"
    yield "|---" * (5 + len(languages)) + "|"
    for point in points:
        bits = [f"{value:.3f}" for value in [*point.bits.values(), point.mean]]
        cells = [point.name, f"{point.parameters / 1e6:.1f}M", f"{point.tokens / 1e6:.1f}M"]
        yield "| " + " | ".join([*cells, f"{point.flops:.2g}", *bits]) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", type=Path)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--fit", nargs="+", metavar="RUN", help="names of the runs to fit")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg")
    options = parser.parse_args()
    documents = list(iter_documents(options.sources))
    points = [point_of(run, documents) for run in options.runs]
    print("\n".join(rows(points)))
    chosen = [point for point in points if not options.fit or point.name in options.fit]
    if len(chosen) < 3:
        return
    best = min(point.mean for point in chosen)
    curves = {floor: fit(chosen, floor) for floor in (0.0, best / 2)}
    for floor, (a, b) in curves.items():
        print(f"\n{floor:.2f} + {a:.3g} * C^-{b:.3f}:")
        for name, flops in WANTED.items():
            print(f"  {name} ({flops:.1e} FLOPs): {floor + a * flops**-b:.2f} bits per byte")
    if options.plot:
        draw(chosen, curves, options.plot)


if __name__ == "__main__":
    main()
