"""The options that the server and most sub-commands share: model, device, threads, settings."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from santa_lsp import settings
from santa_lsp.settings import Settings


class UsageError(Exception):
    """A mistake on the command line; exit status 2."""


def model_options() -> argparse.ArgumentParser:
    """A parent parser with these options."""
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("model")
    # SUPPRESS: an option given before a sub-command is not undone by the sub-command's default.
    group.add_argument(
        "--model",
        metavar="NAME|DIR",
        default=argparse.SUPPRESS,
        help="see santa-lsp models list; default: the embedded one",
    )
    group.add_argument("--device", choices=("auto", "cpu", "cuda"), default=argparse.SUPPRESS)
    group.add_argument("--threads", type=int, metavar="N", default=argparse.SUPPRESS)
    group.add_argument(
        "--config", type=Path, metavar="FILE", default=argparse.SUPPRESS, help="settings as TOML"
    )
    return parser


def read_settings(arguments: argparse.Namespace) -> tuple[Settings, list[str]]:
    """The settings of `--config`, then those of the command line; a message for each problem.

    Raises SettingsError, UsageError.
    """
    found, problems = Settings(), list[str]()
    if config := getattr(arguments, "config", None):
        found, problems = settings.read_file(config)
    given = {
        name: value
        for name in ("model", "device", "threads", "max_new_tokens")
        if (value := getattr(arguments, name, None)) is not None
    }
    options = {settings.camel_case(name): value for name, value in given.items()}
    found, more = settings.parse(options, found)
    if more:
        raise UsageError("; ".join(more))
    return found, problems


def settings_or_warnings(arguments: argparse.Namespace) -> Settings:
    """The settings; problems of the settings file are printed to stderr."""
    found, problems = read_settings(arguments)
    for problem in problems:
        print(f"santa-lsp: {problem}", file=sys.stderr)
    return found
