"""The cost of a keystroke with its prefix cached, without, and beside a prefix being cached.

    python -m benchmarks.warm_keystroke [--model NAME|DIR] [--threads N] [--tokens N] [--new N]

Through the engine alone: no editor, no protocol. Milliseconds to the first token and to the last;
medians of 5. "beside" is a warm keystroke while another prefix of that length is computed.
"""

from __future__ import annotations

import argparse
import inspect
import threading
import time
from statistics import median

from santa_lsp import models
from santa_lsp.completion.engine import Limits
from santa_lsp.engines.ctranslate2 import CTranslate2Engine

RUNS = 5


def once(engine: CTranslate2Engine, ids: list[int], new: int) -> tuple[float, float]:
    """Milliseconds to the first token and to the last of one generation."""
    times: list[float] = []
    started = time.perf_counter()
    engine.generate_tokens(ids, Limits(new), lambda _: bool(times.append(time.perf_counter())))
    return 1000 * (times[0] - started), 1000 * (times[-1] - started)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="santa-mini", metavar="NAME|DIR")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--tokens", type=int, default=1000, help="in the prompt (default 1000)")
    parser.add_argument("--new", type=int, default=16, help="generated (default 16)")
    arguments = parser.parse_args()
    engine = CTranslate2Engine(models.find(arguments.model), "cpu", threads=arguments.threads)
    length = min(arguments.tokens, engine.n_positions - arguments.new - 16)
    found = measure(engine, length, arguments.new)
    print(f"{engine.model.name}, prompt of {length} tokens, {arguments.new} new (ms)")
    for name, (first, last) in found.items():
        print(f"{name:<8} first token {first:9.1f}   all {last:9.1f}")
    ratio = [found["warm"][i] / found["cold"][i] for i in (0, 1)]
    print(f"warm / cold: first token {ratio[0]:.3f}, all {ratio[1]:.3f}")


def measure(engine: CTranslate2Engine, length: int, new: int) -> dict[str, tuple[float, float]]:
    """Milliseconds to the first token and to the last of `new`, after a prompt of `length`."""
    form = engine.format.form
    assert form is not None
    source = engine.encode(inspect.getsource(argparse))
    after, before = source[: length // 4], source[length // 4 : length - 12]
    typed = engine.encode("\n    selected = item")[:8]

    def prompt(start: int) -> list[int]:
        """Another start each time, so that nothing of it has been computed."""
        return form.assemble(before, [source[start], *after])

    once(engine, prompt(0)[:40], 2)
    cold = [once(engine, prompt(run) + typed, new) for run in range(RUNS)]
    warm = [once(engine, prompt(0) + typed[: 4 + run], new) for run in range(RUNS)]
    beside = []
    for run in range(RUNS):
        thread = threading.Thread(target=engine.prepare_tokens, args=(prompt(100 + run) + typed,))
        thread.start()
        beside.append(once(engine, prompt(0) + typed[: 4 + run], new))
        thread.join()
    return {
        name: (median(first for first, _ in runs), median(last for _, last in runs))
        for name, runs in (("cold", cold), ("warm", warm), ("beside", beside))
    }


if __name__ == "__main__":
    main()
