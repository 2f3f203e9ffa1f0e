"""What a completion is asked for: the text around one cursor, immutable."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Trigger = Literal["automatic", "invoked"]

#: File-name endings to LSP language identifiers, for callers that only have a path.
LANGUAGES = {
    ".py": "python",
    ".pyi": "python",
    ".java": "java",
    ".js": "javascript",
    ".mjs": "javascript",
    ".cjs": "javascript",
    ".jsx": "javascriptreact",
    ".ts": "typescript",
    ".tsx": "typescriptreact",
}


def language_of(path: str) -> str:
    """LSP language identifier guessed from a file name; `"plaintext"` when unknown."""
    _, dot, ending = path.rpartition(".")
    return LANGUAGES.get(dot + ending.lower(), "plaintext")


@dataclass(frozen=True, slots=True)
class CompletionContext:
    """The text around a cursor, with `\\n` as its only line end.

    `prefix + suffix` is a window of the document that always reaches at least to both ends of the
    cursor's line. `uri` and `version` name the document it was taken from; neither reaches the
    model.
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

    @property
    def indent(self) -> str:
        """Leading white space of the cursor's line, up to the cursor."""
        return self.line_prefix[: len(self.line_prefix) - len(self.line_prefix.lstrip())]

    @property
    def following_lines(self) -> list[str]:
        """The lines after the cursor's line, as far as the window reaches."""
        return self.suffix.split("\n")[1:]
