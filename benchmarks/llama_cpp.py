"""The same keys typed against our server and against llama.cpp's, with the same weights.

    python -m benchmarks.llama_cpp --server PATH/llama-server                SantaCoder 1.1B's shape
    python -m benchmarks.llama_cpp --server PATH/llama-server --shape mini   santa-mini's

llama-server comes with llama.cpp; the source of `llama-cpp-python` on PyPI holds it too (commands
in benchmarks/README.md). The model has random weights (benchmarks.random_model), int8 for us and
Q8_0 for llama.cpp; it is made once, in FOLDER.

A person types a session of `santa-lsp bench`. The file is cut so that all of it fits the prompt:
both servers see every token of it. A request follows each key, the next key comes PAUSE seconds
after the answer, and each answer has 16 tokens. Ours is the real process over stdio, with threads,
confidence and debounce set so that every key has 16 tokens computed. llama.cpp is asked by /infill
with its prompt cache, in both of its orders: psm, its default, has the suffix after the typed
text, spm has it first.

cold is a file not seen before, warm are the keys after the first. Only completions of 16 tokens
count. The servers take turns, each started anew.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from platformdirs import user_cache_path
from tokenizers import Tokenizer
from tqdm import tqdm

from benchmarks import random_model
from benchmarks.peers import Peer, Sample
from benchmarks.peers.llama_cpp import LlamaCpp
from benchmarks.peers.santa_lsp import SantaLsp
from model import tokenizer
from santa_lsp.bench.figures import percentile
from santa_lsp.bench.session import read
from santa_lsp.bench.typist import Typist

TOKENS = 16
COLD_FILES = 2

State = tuple[str, str]  # the text before the cursor, and after it


def keystrokes(session: str, tokens: Tokenizer, most_tokens: int) -> Iterator[State]:
    """The file after each key that changes it, cut at line ends to `most_tokens` and the keys.

    As in a prompt, a quarter of them is for the text after the cursor.
    """
    typist = Typist(read(session))
    top = bottom = None
    for key in typist.keystrokes():
        if key.press() is None:
            continue
        prefix, suffix = typist.text[: typist.cursor], typist.text[typist.cursor :]
        if top is None or bottom is None:
            top = _cut(prefix, tokens, most_tokens * 3 // 4, from_end=True)
            bottom = len(suffix) - _cut(suffix, tokens, most_tokens // 4, from_end=False)
        yield prefix[top:], suffix[: len(suffix) - bottom]


def _cut(text: str, tokens: Tokenizer, most: int, *, from_end: bool) -> int:
    """Where to cut a text, at a line end, to keep at most so many tokens of its start or end."""
    lines = text.splitlines(keepends=True)
    while lines and len(tokens.encode("".join(lines)).ids) > most:
        lines.pop(0 if from_end else -1)
    kept = len("".join(lines))
    return len(text) - kept if from_end else kept


def play(peer: Peer, states: list[State], pause: float, bar: tqdm) -> dict[str, list[Sample]]:
    """Samples of one server: `cold` files, then the keys, of which the first is cold too."""
    prefix, suffix = states[0]
    peer.complete("warm-up.py", "import", "", TOKENS)
    samples: dict[str, list[Sample]] = {"cold": [], "warm": []}
    for number in range(COLD_FILES):
        # Another file: it differs from its first character on, and from the first after the cursor.
        other = f"# {number} {prefix}", f"\n# {number} {suffix}"
        samples["cold"].append(peer.complete(f"cold-{number}.py", *other, TOKENS))
        bar.update()
        time.sleep(pause)
    for index, state in enumerate(states):
        samples["warm" if index else "cold"].append(peer.complete("typed.py", *state, TOKENS))
        bar.update()
        time.sleep(pause)
    return samples


def figures(samples: list[Sample]) -> dict[str, float | None]:
    """Times in milliseconds; None where nothing was computed that could be timed.

    First tokens are of all computed completions, last ones of those with all their tokens.
    """
    computed = [sample for sample in samples if sample.generated_tokens]
    full = [sample for sample in computed if sample.generated_tokens == TOKENS]
    found: dict[str, float | None] = {"requests": len(samples), "counted": len(full)}
    for name, some in (("first_ms", computed), ("total_ms", full)):
        values = [getattr(sample, name) for sample in some]
        for share in (0.5, 0.95):
            rank = round(percentile(values, share), 1) if values else None
            found[f"{name}_p{100 * share:.0f}"] = rank
    for name in ("prompt_tokens", "prefilled_tokens"):
        values = [getattr(sample, name) for sample in computed]
        found[name] = statistics.median(values) if values else None
    found["over_64"] = sum(sample.prefilled_tokens > 64 for sample in computed)
    return found


def table(results: dict[str, dict[str, dict[str, float | None]]]) -> str:
    """Markdown: a line for each server, cold and warm, and our share of each other one's time."""
    lines = [
        "| | server | of 16 | prompt | prefilled | > 64 | first p50 | p95 | all 16 p50 | p95 |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    times = ("first_ms_p50", "first_ms_p95", "total_ms_p50", "total_ms_p95")
    for phase in ("cold", "warm"):
        ours = results["santa-lsp"][phase]
        for name, found in ((name, result[phase]) for name, result in results.items()):
            shown = [f"{_number(found['counted'])}/{_number(found['requests'])}"]
            shown += [_number(found[each]) for each in ("prompt_tokens", "prefilled_tokens")]
            shown.append(_number(found["over_64"]))
            for each in times:
                mine, theirs = ours[each], found[each]
                compared = name != "santa-lsp" and mine is not None and theirs is not None
                ratio = f" (×{mine / theirs:.2f})" if compared else ""
                shown.append(_number(theirs) + ratio)
            lines.append("| " + " | ".join([phase, name, *shown]) + " |")
    return "\n".join([*lines, "", "Milliseconds; in brackets our time as a share of that."])


def _number(value: float | None) -> str:
    """Whole, or one digit after the point where it is small."""
    if value is None:
        return "–"
    return f"{value:.1f}" if value < 20 and value % 1 else f"{value:.0f}"


def plot(samples: dict[str, dict[str, list[Sample]]], output: Path, title: str) -> None:
    """The share of warm keys answered within a time: first text and all tokens, SVG."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.fonttype"] = "none"
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.2), sharey=True)
    for axis, name, label in (
        (axes[0], "first_ms", "to the first token (ms)"),
        (axes[1], "total_ms", f"to all {TOKENS} tokens (ms)"),
    ):
        for server, found in samples.items():
            values = sorted(
                getattr(sample, name)
                for sample in found["warm"]
                if sample.generated_tokens == TOKENS
            )
            shares = [(index + 1) / len(values) for index in range(len(values))]
            axis.step(values, shares, where="post", label=server)
        axis.set(xscale="log", xlabel=label, ylim=(0, 1.02))
        axis.grid(alpha=0.3, which="both")
    axes[0].set_ylabel("share of warm keys")
    axes[1].legend()
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(output, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--server", type=Path, required=True, help="llama.cpp's llama-server")
    parser.add_argument("--shape", choices=random_model.SHAPES, default="1.1b")
    parser.add_argument("--folder", type=Path, help="where the model is kept; default: your cache")
    parser.add_argument("--session", default="python", help="a session of santa-lsp bench")
    parser.add_argument("--keys", type=int, default=30)
    parser.add_argument("--context", type=int, help="tokens of the file; default 1000, or 3/4 fits")
    parser.add_argument("--pause", type=float, default=0.2, help="seconds before the next key")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--our-threads", type=int, help="default: the same")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--orders", nargs="+", choices=("psm", "spm"), default=["psm", "spm"])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg")
    arguments = parser.parse_args()
    if not arguments.server.is_file():
        parser.error(f"there is no {arguments.server}; benchmarks/README.md says how to build it")

    folder = arguments.folder or user_cache_path("santa-lsp") / "benchmarks" / arguments.shape
    made = random_model.make(folder, arguments.shape)
    n_positions = random_model.SHAPES[arguments.shape].architecture.n_positions
    tokens = tokenizer.load(made.checkpoint / "tokenizer.json")
    context = arguments.context or min(1000, n_positions * 3 // 4)
    found = keystrokes(arguments.session, tokens, context)
    states = [state for state, _ in zip(found, range(arguments.keys), strict=False)]

    our_threads = arguments.our_threads or arguments.threads
    servers: dict[str, Callable[[], Peer]] = {
        "santa-lsp": lambda: SantaLsp(made.model_dir, our_threads, TOKENS)
    }
    for order in arguments.orders:
        servers[f"llama.cpp {order}"] = lambda order=order: LlamaCpp(
            arguments.server, made.gguf, n_positions, arguments.threads, order
        )
    samples: dict[str, dict[str, list[Sample]]] = {
        name: {"cold": [], "warm": []} for name in servers
    }
    total = arguments.rounds * len(servers) * (len(states) + COLD_FILES)
    with tqdm(total=total, unit="request") as bar:
        for turn in range(arguments.rounds):
            for name in list(servers)[:: -1 if turn % 2 else 1]:
                bar.set_description(name)
                with servers[name]() as peer:
                    for phase, new in play(peer, states, arguments.pause, bar).items():
                        samples[name][phase] += new
    if arguments.json:
        every = {
            name: {phase: [dataclasses.asdict(each) for each in some] for phase, some in by.items()}
            for name, by in samples.items()
        }
        arguments.json.write_text(json.dumps(every, indent=1) + "\n")
    results = {
        name: {phase: figures(some) for phase, some in by.items()} for name, by in samples.items()
    }
    print(table(results))
    if arguments.plot:
        plot(samples, arguments.plot, f"{arguments.shape}, {context} tokens of context")


if __name__ == "__main__":
    main()
