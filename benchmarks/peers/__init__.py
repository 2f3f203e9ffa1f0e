"""Completion servers that benchmarks compare, ours among them, all asked in one way."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self


@dataclass(frozen=True, slots=True)
class Sample:
    """One completion: milliseconds as the client sees them, until there is text and to the end.

    Of the prompt's tokens the prefilled ones were computed for this request; the others were there.
    """

    first_ms: float
    total_ms: float
    prompt_tokens: int
    prefilled_tokens: int
    generated_tokens: int
    text: str


class Peer(Protocol):
    """A server process; leaving the context ends it."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def complete(self, file: str, prefix: str, suffix: str, tokens: int) -> Sample:
        """A completion of so many tokens at the cursor, which is between prefix and suffix."""
        ...
