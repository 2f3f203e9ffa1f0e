"""Text with a visible cursor, and one way to say what is inserted there."""

from __future__ import annotations

from collections.abc import Callable

from santa_lsp.completion.context import CompletionContext
from santa_lsp.completion.filters import Drop

CURSOR = "║"

#: From what the model says, and where, to what is inserted. A filter is one.
Complete = Callable[[str, CompletionContext], str | Drop]


def at_cursor(text: str, **fields: object) -> CompletionContext:
    """The context of a text in which ║ marks the cursor."""
    prefix, _, suffix = text.partition(CURSOR)
    values = {"language": "python", "path": "file.py", "uri": "file:///file.py", **fields}
    return CompletionContext(prefix=prefix, suffix=suffix, **values)  # type: ignore[arg-type]


def check(complete: Complete, text: str, says: str, after: str, **fields: object) -> None:
    """`text` becomes `after` when the model says `says` at its cursor.

    In `after` the cursor stands behind what was inserted: both are the same where nothing is.
    """
    context = at_cursor(text, **fields)
    found = complete(says, context)
    inserted = found if isinstance(found, str) else ""
    assert context.prefix + inserted + CURSOR + context.suffix == after
