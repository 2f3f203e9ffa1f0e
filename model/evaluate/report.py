"""A result as one HTML page that needs nothing else: table, plots, and examples to browse."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from model.evaluate import table
from model.evaluate.plot import Bar, bars
from model.evaluate.run import Result, spread
from model.evaluate.task import Record, Row

#: Examples of each kind (right, wrong, neither) in each group.
SHOWN = 25
#: Characters of a text; lines around a completion.
LONGEST, LINES = 3000, 12

_STYLE = """
:root{color-scheme:light dark;--dim:#777;--line:#8884;--good:#1a7f37;--bad:#b3261e;--bar:#5b8def}
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.2rem .7rem;border-bottom:1px solid var(--line);text-align:right}
th:nth-child(-n+2),td:nth-child(-n+2){text-align:left}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;color:var(--dim)}dd{margin:0}
svg{width:100%;max-width:48rem;font-size:12px}svg text{fill:currentColor}
.bar{fill:var(--bar);opacity:.75}.interval{stroke:currentColor;fill:none}.mark{fill:#e08a00}
.grid{stroke:var(--line)}.tick{fill:var(--dim)!important;font-size:10px}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#8881;padding:.6rem;margin:.3rem 0;
border-radius:4px;font:13px/1.45 ui-monospace,monospace}
.dim{color:var(--dim)}mark{background:#5b8def44;color:inherit}
details{border-left:4px solid var(--line);padding-left:.7rem;margin:.4rem 0}
details.right{border-color:var(--good)}details.wrong{border-color:var(--bad)}
summary{cursor:pointer}h3{font-size:.8rem;margin:.5rem 0 0;color:var(--dim);font-weight:600}
#only-right:checked~section details.wrong,#only-wrong:checked~section details.right,
#only-right:checked~section details.neither,#only-wrong:checked~section details.neither
{display:none}
"""


def page(title: str, about: dict[str, Any], sections: Iterable[str]) -> str:
    facts = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in about.items()
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\';'
        " style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>"
        f"<h1>{escape(title)}</h1><dl>{facts}</dl>{''.join(sections)}</html>\n"
    )


def render(result: Result) -> str:
    """The page of one result."""
    run = result.run
    about = {
        "model": f"{run['model']['name']} (model.bin {str(run['model']['sha256'])[:12]})",
        "data": ", ".join(f"{name} ({digest[:12]})" for name, digest in run["sources"].items()),
        "settings": settings(run),
    }
    sections = [html_table(result.rows), *plots(result.rows), *examples(result.records)]
    return page(f"{run['task']}: {run['model']['name']}", about, sections)


def settings(run: dict[str, Any]) -> str:
    """The settings that were chosen, in words, without those left at None or False."""
    return ", ".join(
        f"{name} {' '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in run["settings"].items()
        if value is not None and value is not False
    )


def html_table(rows: Sequence[Row]) -> str:
    return html_cells(table.cells(rows))


def html_cells(cells: Sequence[Sequence[str]]) -> str:
    """A table whose first line is its head."""
    head, *body = (
        "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in line)
        for tag, line in zip(("th", *("td" for _ in cells[1:])), cells, strict=True)
    )
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{line}</tr>' for line in body)}</table>"


def plots(rows: Sequence[Row]) -> Iterable[str]:
    """A plot for each metric, a bar for each group."""
    for metric, unit in dict.fromkeys((row.metric, row.unit) for row in rows):
        found = [
            Bar(row.group, row.value, row.low, row.high, row.published)
            for row in rows
            if (row.metric, row.unit) == (metric, unit)
        ]
        marked = any(bar.mark is not None for bar in found)
        note = '<p class="dim">◆ SantaCoder 1.1B, as published</p>' if marked else ""
        yield f"<h2>{escape(metric)}</h2>{note}{bars(found, f' {unit}' if unit else '')}"


def examples(records: Sequence[Record]) -> Iterable[str]:
    """Right and wrong answers of each group, to choose between without a script."""
    if not any(record.texts for record in records):
        return
    yield "<h2>Examples</h2>"
    for name, label in (("all", "all"), ("right", "right only"), ("wrong", "wrong only")):
        checked = " checked" if name == "all" else ""
        yield (
            f'<input type="radio" name="only" id="only-{name}"{checked}>'
            f'<label for="only-{name}"> {label}</label> '
        )
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.group, []).append(record)
    for group, found in groups.items():
        kinds = [[each for each in found if each.right is right] for right in (True, False, None)]
        chosen = [each for kind in kinds for each in spread(kind, SHOWN)]
        counts = f"{len(kinds[0])} right, {len(kinds[1])} wrong; {len(chosen)} shown"
        yield f"<section><h2>{escape(group)}</h2><p class='dim'>{counts}</p>"
        yield from map(example, chosen)
        yield "</section>"


def example(record: Record) -> str:
    kind = {True: "right", False: "wrong", None: "neither"}[record.right]
    scores = ", ".join(f"{name} {score:.3g}" for name, score in record.scores.items())
    texts = dict(record.texts)
    blocks = []
    if "said" in texts:
        before, said, after = (texts.pop(name, "") for name in ("prefix", "said", "suffix"))
        blocks.append(
            f'<pre><span class="dim">{escape(last_lines(before))}</span>'
            f"<mark>{escape(said[:LONGEST])}</mark>"
            f'<span class="dim">{escape(first_lines(after))}</span></pre>'
        )
    blocks += [
        f"<h3>{escape(title)}</h3><pre>{escape(text[:LONGEST])}</pre>"
        for title, text in texts.items()
    ]
    return (
        f'<details class="{kind}"><summary>{escape(record.id)} '
        f'<span class="dim">{escape(scores)}</span></summary>{"".join(blocks)}</details>'
    )


def last_lines(text: str) -> str:
    lines = text.split("\n")
    return ("…\n" if len(lines) > LINES else "") + "\n".join(lines[-LINES:])[-LONGEST:]


def first_lines(text: str) -> str:
    lines = text.split("\n")
    return "\n".join(lines[:LINES])[:LONGEST] + ("\n…" if len(lines) > LINES else "")
