"""The languages that `model/` covers; all else about them is in `santa_lsp.languages`."""

from __future__ import annotations

from santa_lsp import languages
from santa_lsp.languages import language

#: LSP identifiers of those that the corpus has sources in.
LANGUAGES = ("python", "java", "javascript")
#: Stubs have no code to learn from.
_STUBS = (".pyi",)
#: Of source files, as in `.py`.
SUFFIXES = tuple(
    suffix for name in LANGUAGES for suffix in language(name).suffixes if suffix not in _STUBS
)


def language_of(path: str) -> str | None:
    """The language of a source file, by its suffix; None if it is none of `LANGUAGES`."""
    return languages.language_of(path) if path.lower().endswith(SUFFIXES) else None
