"""Exact and near duplicates: the first document seen is the one that is kept.

Near duplicates as in the SantaCoder paper: MinHash over runs of 5 words, locality-sensitive
hashing, Jaccard similarity >= .7.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass

import numpy as np
from datasketch import LeanMinHash, MinHash, MinHashLSH

N_SHINGLE = 5  # words
N_PERMUTATIONS = 128
MIN_JACCARD = 0.7
_POWERS = [0x9E3779B97F4A7C15 ** (k + 1) % 2**64 for k in range(N_SHINGLE)]


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Two texts are compared by it: ``exact`` is a SHA-256, ``near`` a MinHash."""

    exact: bytes
    near: LeanMinHash


def fingerprint(text: str, found: list[str]) -> Fingerprint:
    """The fingerprint of a text whose `words` are ``found``; line ends' white space is ignored."""
    stripped = "\n".join(line.rstrip() for line in text.split("\n"))
    numbers = np.array([zlib.crc32(word.encode()) for word in found], dtype=np.uint64)
    numbers = np.pad(numbers, (0, max(0, N_SHINGLE - len(numbers))))
    n = len(numbers) - N_SHINGLE + 1
    mixed = np.zeros(n, dtype=np.uint64)  # a polynomial hash of each run, modulo 2**64
    for k, power in enumerate(_POWERS):
        mixed += numbers[k : k + n] * np.uint64(power)
    near = MinHash(N_PERMUTATIONS, hashfunc=int)
    near.update_batch(np.unique(mixed >> np.uint64(32)).tolist())
    return Fingerprint(hashlib.sha256(stripped.encode()).digest(), LeanMinHash(near))


class Seen:
    """The documents kept so far, of one language."""

    def __init__(self) -> None:
        self._near = MinHashLSH(threshold=MIN_JACCARD, num_perm=N_PERMUTATIONS)
        self._kept: dict[bytes, LeanMinHash] = {}

    def add(self, document: Fingerprint) -> str | None:
        """Remember a document, unless it repeats an earlier one; then return the reason."""
        if document.exact in self._kept:
            return "exact duplicate"
        for key in self._near.query(document.near):
            if self._kept[key].jaccard(document.near) >= MIN_JACCARD:  # buckets also collide
                return "near duplicate"
        self._near.insert(document.exact, document.near)
        self._kept[document.exact] = document.near
        return None
