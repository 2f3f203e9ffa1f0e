"""Whether a request is worth the model's time, by its text alone."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch

from santa_lsp.completion.brackets import CLOSING
from santa_lsp.completion.context import CompletionContext

#: An automatic request is answered only when at most this many characters follow the cursor on its
#: line, closing punctuation not counted (llama.vim's limit).
MOST_LINE_SUFFIX = 8


def exclusion(context: CompletionContext, exclude: Sequence[str]) -> str:
    """Why a file is never completed, whoever requests it; empty when it may be."""
    name = context.path.replace("\\", "/")
    for pattern in exclude:
        if fnmatch(name, pattern) or fnmatch(name.rpartition("/")[2], pattern):
            return f"the file matches {pattern!r} of the setting exclude"
    return ""


def refusal(context: CompletionContext) -> str:
    """Why an automatic request shows nothing here; empty when it may."""
    if context.trigger == "invoked":
        return ""
    rest = context.line_suffix.strip()
    if rest and (rest[0].isalnum() or rest[0] == "_") and context.line_suffix[0] == rest[0]:
        return "the cursor is inside a word"
    if len(rest.strip(CLOSING + " ")) > MOST_LINE_SUFFIX:
        return "too much text follows the cursor on its line"
    if not context.prefix.strip() and not context.suffix.strip():
        return "the file is empty"
    return ""
