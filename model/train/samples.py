"""Completions of held-out text, appended to a run's samples.md beside the true text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from model.gpt import GPT
from santa_lsp.families.prompt import FimIds


def write_samples(
    path: Path,
    title: str,
    model: GPT,
    tokenizer: Tokenizer,
    fim: FimIds,
    validation: Mapping[str, Any],
    most: int = 2,
) -> None:
    """`most` greedy completions for each language of `validation` (rows [n, T + 1] of ids)."""
    lines = [f"\n## {title}\n"]
    for language, rows in validation.items():
        shown = 0
        for row in rows.tolist():
            middle = row.index(fim.middle) if fim.middle in row else len(row)
            if row[0] != fim.prefix or row[1] == fim.suffix or middle > len(row) - 8:
                continue  # only PSM examples show where their middle starts
            after = row[middle + 1 :]
            end = model.config.eos_token_id
            wanted = tokenizer.decode(after[: after.index(end)] if end in after else after)
            got = tokenizer.decode(model.generate(row[: middle + 1], 32))
            before = tokenizer.decode(row[1 : row.index(fim.suffix)])[-200:]
            lines.append(f"{language}, after:\n```\n{before}\n```\ncame\n```\n{got}\n```\n")
            lines.append(f"was\n```\n{wanted[:200]}\n```\n")
            shown += 1
            if shown == most:
                break
    with path.open("a") as file:
        file.write("\n".join(lines))


def title_of(step: int, losses: Mapping[str, float]) -> str:
    rounded = {language: round(loss, 4) for language, loss in losses.items()}
    return f"Step {step}, validation loss {json.dumps(rounded)}"
