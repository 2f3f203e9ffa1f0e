"""From requests to figures: latencies by sort, and the tokens that the server has computed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal, get_args

from santa_lsp.bench.replay import Request

#: A keystroke is cold if the server prefilled more tokens than these for it.
WARM_TOKENS = 64

#: The sort of a request, by the source of its answer. "none": the model was not asked; "unknown":
#: the server has no santa.statistics.
Sort = Literal["typed through", "prefetched", "warm", "cold", "none", "unknown"]

SORTS: tuple[Sort, ...] = get_args(Sort)

TOKENS = ("prompt", "prefilled", "reused", "generated", "prefetched", "wasted")


def sort_of(request: Request) -> Sort:
    """The sort of an answered request, from the server's statistics."""
    last = request.last
    if not last:
        return "unknown"
    if last["source"] == "typedThrough":
        return "typed through"
    if last["source"] == "prefetched":
        return "prefetched"
    if not last["promptTokens"]:
        return "none"
    return "warm" if last["prefilledTokens"] <= WARM_TOKENS else "cold"


def figures(requests: Sequence[Request], before: dict[str, Any] | None) -> dict[str, Any]:
    """The figures of one replay; `before` are the server's statistics at its start.

    `ms` has every latency by sort of request, so that replays can be added; the others are counts.
    """
    answered = [request for request in requests if request.ms is not None]
    ms: dict[str, list[float]] = {}
    for request in answered:
        if request.ms is not None:
            ms.setdefault(sort_of(request), []).append(request.ms)
        if request.last.get("promptTokens"):
            ms.setdefault("wait for the model", []).append(request.last["queueMs"])
            if (first := request.call.first_text) is not None:
                ms.setdefault("first text", []).append(first)
    sorts = [sort_of(request) for request in answered]
    accounts = [before] if before else []
    accounts += [request.statistics for request in requests if request.statistics]
    return {
        "ms": {name: [float(f"{value:.3g}") for value in values] for name, values in ms.items()},
        "requests": len(requests),
        "cancelled": len(requests) - len(answered),
        "shown": sum(1 for request in requests if request.shown),
        "accepted": sum(1 for request in requests if request.accepted),
        "from cache": sorts.count("typed through") + sorts.count("prefetched"),
        "cold keystrokes": _cold_keystrokes(accounts),
        "accounted": max(0, len(accounts) - 1),
        "tokens": {name: _spent(accounts, name) for name in TOKENS} if accounts else {},
    }


def add(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """The figures of two replays together: counts are added, lists are joined."""
    total = dict(first)
    for name, value in second.items():
        if isinstance(value, dict):
            total[name] = add(first.get(name, {}), value)
        else:
            total[name] = first[name] + value if name in first else value
    return total


def _spent(accounts: Sequence[dict[str, Any]], name: str) -> int:
    first, last = accounts[0]["tokens"][name], accounts[-1]["tokens"][name]
    return int(last - first)


def _cold_keystrokes(accounts: Sequence[dict[str, Any]]) -> int:
    """Requests for which the server prefilled more than WARM_TOKENS, by the differences between
    accounts; superseded ones count too, when their computation has ended."""
    prefilled = [account["tokens"]["prefilled"] for account in accounts]
    return sum(after - before > WARM_TOKENS for before, after in pairwise(prefilled))


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: the least value that a `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
