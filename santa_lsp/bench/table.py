"""The figures as text: a table, and two runs side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from santa_lsp.bench.figures import SORTS, WARM_TOKENS, percentile

PERCENTILES = (0.5, 0.9, 0.99)

#: The rows in their order, with their titles.
ROWS = {
    "typed through": "typed through: the end of a completion known already",
    "prefetched": "prefetched: computed before the request",
    "warm": f"warm: at most {WARM_TOKENS} tokens of the prompt prefilled",
    "cold": f"cold: more than {WARM_TOKENS} tokens prefilled",
    "none": "none: the model was not asked",
    "unknown": "unknown: the server has no santa.statistics",
    "all answered": "all that were answered",
    "first text": "first text, where the model was asked",
    "wait for the model": "of which waiting for the model to be free",
    "start to initialize reply": "process start to initialize reply",
    "start to first completion": "process start to first completion",
    "cancel to reply": "cancel to its reply",
    "cancel to idle, decoding": "cancel to the model being free, while decoding",
    "cancel to idle, prefilling": "cancel to the model being free, while prefilling",
}
WIDTH = max(map(len, ROWS.values()))

PACES = {"real": "at a person's pace", "fast": "as fast as it answers"}


def sections(result: dict[str, Any]) -> Iterator[tuple[str, dict[str, list[float]]]]:
    """(title, latencies in ms by row) of everything that was timed."""
    for pace, title in PACES.items():
        if found := result.get("paces", {}).get(pace):
            answered = [ms for sort in SORTS for ms in found["ms"].get(sort, [])]
            yield title, {**found["ms"], "all answered": answered}
    if others := {**result.get("start", {}), **result.get("cancel", {})}:
        yield "starting and cancelling", others


def head(result: dict[str, Any]) -> str:
    """Server, model and machine of a run."""
    machine = result["machine"]
    return (
        f"{result['server']}, {result['model']}: {machine['processor']}, {machine['cores']} cores, "
        f"{machine['system']}"
    )


def report(result: dict[str, Any]) -> str:
    """The whole table."""
    lines = [head(result)]
    for title, rows in sections(result):
        lines += ["", f"{title + ' (ms)':<{WIDTH + 2}}{'count':>7}{'p50':>9}{'p90':>9}{'p99':>9}"]
        for name, words in ROWS.items():
            if values := rows.get(name):
                figures = "".join(f"{percentile(values, share):>9.1f}" for share in PERCENTILES)
                lines.append(f"  {words:<{WIDTH}}{len(values):>7}{figures}")
        pace = next((name for name, words in PACES.items() if words == title), None)
        if pace:
            lines += [f"  {line}" for line in _counts(result["paces"][pace])]
    lines += ["", *_memory(result)]
    return "\n".join(lines)


def _counts(found: dict[str, Any]) -> Iterator[str]:
    requests, cancelled = found["requests"], found["cancelled"]
    answered = requests - cancelled
    yield (
        f"{requests} requests, {cancelled} superseded; {_share(found['shown'], answered)} of the "
        f"answered showed a completion, {found['accepted']} were taken"
    )
    if tokens := found["tokens"]:
        yield (
            f"{_share(found['from cache'], answered)} of the answered came from the cache, "
            f"{_share(found['from cache'], found['shown'])} of those that showed a completion; "
            f"{_share(found['cold keystrokes'], found['accounted'])} of the keystrokes prefilled "
            f"more than {WARM_TOKENS} tokens"
        )
        yield "tokens: " + ", ".join(f"{count:,} {name}" for name, count in tokens.items())


def _memory(result: dict[str, Any]) -> Iterator[str]:
    if soak := result.get("soak"):
        for sample in soak["samples"]:
            cached = sample["prefix cache"]
            kept = "" if cached is None else f", of which {cached / 1e6:.1f} MB prefix cache"
            held = _megabytes(sample["resident"])
            yield f"after {sample['keys']:>6} keys in {soak['files']} files: {held}{kept}"
    yield f"peak memory of the server: {_megabytes(result['memory'].get('peak'))}"


def _megabytes(size: int | None) -> str:
    return "unknown here" if size is None else f"{size / 1e6:.0f} MB"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "none"


def comparison(result: dict[str, Any], other: dict[str, Any], name: str) -> str:
    """Median and p90 of this run, of the other, and their ratios, for every row that both have."""
    columns = f"{'p50':>9}{'other':>9}{'ratio':>7}{'p90':>9}{'other':>9}{'ratio':>7}"
    lines = [f"compared with {name}: {head(other)}", "ms; a ratio below 1 is faster than there"]
    others = dict(sections(other))
    for title, rows in sections(result):
        shared = [row for row in ROWS if rows.get(row) and others.get(title, {}).get(row)]
        if shared:
            lines += ["", f"{title:<{WIDTH + 2}}{columns}"]
        for row in shared:
            line = f"  {ROWS[row]:<{WIDTH}}"
            for share in PERCENTILES[:2]:
                ours, theirs = percentile(rows[row], share), percentile(others[title][row], share)
                line += f"{ours:>9.1f}{theirs:>9.1f}{ours / max(theirs, 1e-3):>7.2f}"
            lines.append(line)
    peaks = result["memory"].get("peak"), other.get("memory", {}).get("peak")
    if all(peaks):
        lines += ["", f"peak memory {_megabytes(peaks[0])}, other {_megabytes(peaks[1])}"]
    return "\n".join(lines)
