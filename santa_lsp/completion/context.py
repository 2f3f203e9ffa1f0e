"""The text around one cursor, immutable: the input of a completion."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Trigger = Literal["automatic", "invoked"]


@dataclass(frozen=True, slots=True)
class CompletionContext:
    """The text around a cursor, with `\\n` as its only line end.

    `prefix + suffix` is a window of the document that reaches at least to both ends of the cursor's
    line. `uri` and `version` name the document; neither reaches the model.
    """

    language: str
    path: str
    prefix: str
    suffix: str
    uri: str = ""
    version: int | None = None
    trigger: Trigger = "automatic"
    line_prefix: str = field(init=False)
    line_suffix: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "line_prefix", self.prefix.rpartition("\n")[2])
        object.__setattr__(self, "line_suffix", self.suffix.partition("\n")[0])
