"""`santa-lsp models list | add | info | remove`: the models on this machine."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from santa_lsp import models
from santa_lsp.commands.export import QUANTIZATION_HELP, announce
from santa_lsp.models import Model
from santa_lsp.settings import Settings

if TYPE_CHECKING:
    from santa_lsp.models.catalogue import Licence


def add_parser(commands: Any) -> None:
    """`models` among the sub-commands."""
    parser = commands.add_parser("models", help="the models on this machine")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="show name, size, speed, languages and licence")
    listing.add_argument(
        "--json", action="store_true", help="print the models on this machine as JSON"
    )
    listing.add_argument(
        "--suggest", action="store_true", help="measure which published models answer in time here"
    )
    listing.set_defaults(run=_list)
    adding = actions.add_parser("add", help="download a model or take a checkpoint, and convert it")
    adding.add_argument("source", metavar="HUB_ID|PATH", help="such as bigcode/tiny_starcoder_py")
    adding.add_argument("--name", help="default: the last part of the source")
    adding.add_argument("--revision", help="a branch, tag or commit of the repository")
    adding.add_argument("--quantization", default="int8", metavar="TYPE", help=QUANTIZATION_HELP)
    adding.add_argument("--accept-license", action="store_true", help="do not ask")
    adding.set_defaults(run=_add)
    info = actions.add_parser("info", help="print a model's santa.json, and test its checksums")
    info.add_argument("name", metavar="NAME|DIR")
    info.set_defaults(run=_info)
    removing = actions.add_parser("remove", help="delete a model that was added")
    removing.add_argument("name", metavar="NAME")
    removing.set_defaults(run=_remove)


def _list(arguments: argparse.Namespace) -> None:
    from santa_lsp.models import speeds
    from santa_lsp.models.catalogue import CATALOGUE

    if arguments.json:
        print(json.dumps([_about(model) for model in models.installed()], ensure_ascii=False))
        return
    if arguments.suggest:
        _suggest(Settings().latency_budget_ms)
        return
    rows = [("NAME", "PARAMETERS", "SIZE", "SPEED", "LANGUAGES", "LICENCE")]
    for model in models.installed():
        measured = speeds.recall(model)
        rows.append(
            (
                model.directory.name,
                _count(model.card.get("parameters", 0)),
                f"{model.size / 1e6:.0f} MB",
                f"{speeds.fastest(measured).decode_tokens_per_second:.0f} tokens/s"
                if measured
                else "not measured",
                ", ".join(model.card.get("languages", ())) or "unknown",
                model.card.get("licence") or "unknown",
            )
        )
    _print_table(rows)
    print("\nto add one of these: santa-lsp models add HUB_ID")
    _print_table(
        [
            (f"  {known.hub_id}", _count(known.parameters), _licence(known.licence))
            for known in CATALOGUE.values()
        ]
    )
    print("\nsanta-lsp models list --suggest measures which of them answer in time on this machine")


def _suggest(budget_ms: int) -> None:
    from santa_lsp.commands.suggest import best, suggest
    from santa_lsp.convert.progress import progress_bar
    from santa_lsp.models.catalogue import CATALOGUE

    with progress_bar("measuring") as on_progress:
        shapes = len({known.shape for known in CATALOGUE.values()})
        found = suggest(on_measured=lambda done: on_progress(done, shapes))
    rows = [("MODEL", "PARAMETERS", "MEMORY", "A KEY", "LINES RIGHT", "LICENCE", "")]
    for each in found:
        known = each.model
        rows.append(
            (
                known.hub_id,
                _count(known.parameters),
                f"{known.memory / 1e9:.1f} GB",
                f"{each.key_ms:,.0f} ms" if each.fits_memory else "-",
                f"{known.fim} %" if known.fim else "-",
                _licence(known.licence),
                each.verdict(budget_ms),
            )
        )
    _print_table(rows)
    print(
        f"\nA key: a usual one, its prefix cached, within a budget of {budget_ms} ms "
        "(latencyBudgetMs).\nLines right: single lines completed exactly, as published."
    )
    if (taken := best(found, budget_ms)) is not None:
        print(f"to take the best that answers in time: santa-lsp models add {taken.model.hub_id}")
    else:
        print("none of them answers in time here: the embedded model stays the right one")


def _licence(licence: Licence) -> str:
    return f"{licence.name} ({licence.use})" if licence.use else licence.name


def _about(model: Model) -> dict[str, object]:
    """One model of `models list --json`."""
    return {
        "name": model.directory.name,
        "parameters": model.card.get("parameters", 0),
        "bytes": model.size,
        "languages": list(model.card.get("languages", ())),
        "licence": model.card.get("licence") or "unknown",
    }


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(map(str.ljust, row, widths)).rstrip())


def _count(parameters: float) -> str:
    return f"{parameters / 1e9:.1f}B" if parameters >= 1e9 else f"{parameters / 1e6:.1f}M"


def _add(arguments: argparse.Namespace) -> None:
    from santa_lsp.commands.install import add
    from santa_lsp.convert.progress import progress_bar

    def accept(licence: Licence, download: str) -> bool:
        print(f"{download}\nLicence: {licence.name}, {licence.url}")
        if licence.restrictions:
            print(licence.restrictions)
        if arguments.accept_license:
            return True
        return sys.stdin.isatty() and input("Do you accept it? [y/N] ").lower() in ("y", "yes")

    with progress_bar("converting") as on_progress:
        model = add(
            arguments.source,
            name=arguments.name,
            revision=arguments.revision,
            quantization=arguments.quantization,
            accept=accept,
            on_progress=on_progress,
        )
    announce(model, model.directory.name)


def _info(arguments: argparse.Namespace) -> None:
    from santa_lsp.models import speeds

    model = models.find(arguments.name)
    models.verify(model)
    about = {
        "directory": str(model.directory),
        "bytes": model.size,
        **model.card,
        "measured_speed": [dataclasses.asdict(speed) for speed in speeds.recall(model)],
    }
    print(json.dumps(about, indent=2, ensure_ascii=False))


def _remove(arguments: argparse.Namespace) -> None:
    models.remove(arguments.name)
    print(f"removed {arguments.name}")
