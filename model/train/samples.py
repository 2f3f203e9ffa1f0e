"""Completions of held-out text, appended to a run's samples.md beside the true text."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import Tokenizer

from model.transformer import Transformer
from santa_lsp.families.forms import FIM_PREFIX, FIM_SUFFIX, ORDERS, PromptForm

#: Of a completion that is shown.
NEW_TOKENS = 32


def write_samples(
    path: Path,
    title: str,
    model: Transformer,
    tokenizer: Tokenizer,
    form: PromptForm,
    validation: Mapping[str, Any],
    most: int = 2,
) -> None:
    """`most` greedy completions for each language of `validation` (rows [n, T + 1] of ids)."""
    lines = [f"\n## {title}\n"]
    for language, rows in validation.items():
        cuts = (_cut(row, form, model.config.eos_token_id) for row in rows.tolist())
        for cut in itertools.islice((each for each in cuts if each), most):
            before = tokenizer.decode(cut.prefix_ids)[-200:]
            got = tokenizer.decode(model.generate(cut.prompt_ids, NEW_TOKENS))
            wanted = tokenizer.decode(cut.middle_ids)[:200]
            lines.append(f"{language}, after:\n```\n{before}\n```\ncame\n```\n{got}\n```\n")
            lines.append(f"was\n```\n{wanted}\n```\n")
    with path.open("a") as file:
        file.write("\n".join(lines))


class _Cut(NamedTuple):
    """An example before and after the place where its completion starts."""

    prompt_ids: list[int]
    prefix_ids: list[int]  # of the text before the cursor, a part of the prompt
    middle_ids: list[int]


def _cut(row: list[int], form: PromptForm, end_of_text: int) -> _Cut | None:
    """The first example of a row; None when it was not cut into prefix, middle and suffix.

    Where the prefix comes last, no token tells where the middle starts: at its last few tokens.
    """
    ids = row[: row.index(end_of_text)] if end_of_text in row else row
    if form.order in ORDERS.values():  # rows have both
        before = form.marks[FIM_PREFIX].id
        after = ids[ids.index(before) + 1 :] if before in ids else []
        form = form.with_order("spm" if after[:1] == [form.marks[FIM_SUFFIX].id] else "psm")
    *_, last = (form.marks[part].id for part in form.order if part in form.marks)
    if last not in ids:
        return None
    start = ids.index(last) + 1
    if form.prefix_is_last:
        start = max(start, len(ids) - NEW_TOKENS)
    prefix = slice(*form.prefix_bounds(ids[:start]))
    return _Cut(ids[:start], ids[prefix], ids[start:])


def title_of(step: int, losses: Mapping[str, float]) -> str:
    rounded = {language: round(loss, 4) for language, loss in losses.items()}
    return f"Step {step}, validation loss {json.dumps(rounded)}"
