"""Whether a request merits the model's time, from its text alone."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch

from santa_lsp.completion.brackets import CLOSING
from santa_lsp.completion.context import CompletionContext
from santa_lsp.languages import includes

#: Characters after the cursor on its line, without closing punctuation, up to which an automatic
#: request is answered (llama.vim's limit).
MOST_LINE_SUFFIX = 8


def exclusion(context: CompletionContext, exclude: Sequence[str]) -> str:
    """The reason for never completing a file, asked by hand or not; "" if there is none."""
    name = context.path.replace("\\", "/")
    for pattern in exclude:
        if fnmatch(name, pattern) or fnmatch(name.rpartition("/")[2], pattern):
            return f"the file matches {pattern!r} in the setting exclude"
    return ""


def refusal(context: CompletionContext, languages: Sequence[str] = ()) -> str:
    """The reason for not answering an automatic request; "" if there is none.

    `languages` are those that are completed (see santa_lsp.languages.includes).
    """
    if context.trigger == "invoked":
        return ""
    if not includes(languages, context.language):
        return f"{context.language} is not among the languages that are completed"
    rest = context.line_suffix.strip()
    if rest and (rest[0].isalnum() or rest[0] == "_") and context.line_suffix[0] == rest[0]:
        return "the cursor is inside a word"
    if len(rest.strip(CLOSING + " ")) > MOST_LINE_SUFFIX:
        return "too much text follows the cursor on its line"
    if not context.prefix.strip() and not context.suffix.strip():
        return "the file is empty"
    return ""
