"""The corpus's table, for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table


def print_table(table: dict[str, Any]) -> None:
    """Print what ``corpus.json`` holds: files and bytes by language and licence, and what each filter removed."""
    console = Console()
    kept = Table(title="kept", title_justify="left")
    for column in ("language", "licence"):
        kept.add_column(column)
    for column in ("files", "MB"):
        kept.add_column(column, justify="right")
    for language, licences in table["languages"].items():
        for licence, counts in licences.items():
            kept.add_row(language, licence, f"{counts['files']:,}", f"{counts['bytes'] / 1e6:,.1f}")
        files, size = (sum(counts[unit] for counts in licences.values()) for unit in ("files", "bytes"))
        kept.add_row(language, "all", f"{files:,}", f"{size / 1e6:,.1f}", style="bold", end_section=True)
    console.print(kept)
    removed = Table(title="removed", title_justify="left")
    removed.add_column("reason")
    removed.add_column("files", justify="right")
    for reason, count in sorted(table["removed"].items(), key=lambda item: -item[1]):
        removed.add_row(reason, f"{count:,}")
    console.print(removed)
