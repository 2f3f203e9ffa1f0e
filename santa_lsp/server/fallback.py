"""Completions in the ordinary list, for editors without inline completion (Helix, Zed, Kate, …)."""

from __future__ import annotations

import re

from lsprotocol import types

from santa_lsp.protocol.messages import InlineCompletionParams

#: Editors compare the items of a list with the word before the cursor. ASCII, so that a character
#: is one position in every encoding.
_WORD = re.compile(r"[A-Za-z0-9_]*\Z")
LONGEST_LABEL = 60


def as_inline(params: types.CompletionParams) -> InlineCompletionParams:
    """The request as an automatic one for inline completion: lists open while the user types."""
    return InlineCompletionParams(
        context=types.InlineCompletionContext(types.InlineCompletionTriggerKind.Automatic),
        position=params.position,
        text_document=params.text_document,
    )


def as_list(found: types.InlineCompletionList | None, line_prefix: str) -> types.CompletionList:
    """The items, each after the word before the cursor; the editor asks again at each key."""
    match = _WORD.search(line_prefix)
    word = match[0] if match else ""
    items = []
    for item in found.items if found else []:
        text = word + str(item.insert_text)
        assert item.range is not None  # Snapshot.item sets it
        start = item.range.start
        begin = types.Position(start.line, start.character - len(word))
        label = text.strip().split("\n")[0]
        items.append(
            types.CompletionItem(
                label=label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "…",
                kind=types.CompletionItemKind.Text,
                detail="santa-lsp",
                documentation=text if text.strip() != label else None,
                filter_text=text,
                sort_text="0",
                text_edit=types.TextEdit(types.Range(begin, item.range.end), text),
                command=item.command,
            )
        )
    return types.CompletionList(is_incomplete=True, items=items)
