"""Smoothed BLEU-4 of one sentence, as CodeXGLUE's code-to-text computes it (Lin and Och 2004,
ORANGE, https://aclanthology.org/C04-1072): one is added to matches and totals of n-grams longer
than one, and to both lengths in the brevity penalty.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

LONGEST = 4
#: The benchmark first splits words from punctuation, then tokenizes as NIST's mteval, which by then
#: has nothing left to split but underscores.
_TOKEN = re.compile(r"[^\W_]+|\S")


def tokenize(text: str) -> list[str]:
    return _TOKEN.findall(text.lower())


def bleu(said: str, wanted: str) -> float:
    """0 to 1; the benchmark's figure is the mean over all sentences, times 100."""
    candidate, reference = tokenize(said), tokenize(wanted)
    if not candidate:
        return math.exp(-len(reference))  # the benchmark's: 0 of 0 words are right
    logarithms = []
    for n in range(1, LONGEST + 1):
        found, known = ngrams(candidate, n), ngrams(reference, n)
        smoothing = int(n > 1)
        matches = (found & known).total() + smoothing
        if matches == 0:
            return 0.0  # not a word in common
        logarithms.append(math.log(matches / (found.total() + smoothing)))
    brevity = min(0.0, 1 - (len(reference) + 1) / (len(candidate) + 1))
    return math.exp(sum(logarithms) / LONGEST + brevity)


def ngrams(tokens: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1))
