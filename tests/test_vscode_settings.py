"""The VS Code extension declares the server's settings: all of them, as they are."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from santa_lsp import __version__
from santa_lsp.settings import Settings, camel_case, parse

ROOT = Path(__file__).parents[1]
MANIFEST = json.loads((ROOT / "editors" / "vscode" / "package.json").read_text())
(SERVER,) = (
    section["properties"]
    for section in MANIFEST["contributes"]["configuration"]
    if section["title"] == "Server"
)
DEFAULTS: dict[str, Any] = {
    camel_case(name): list(value) if isinstance(value, tuple) else value
    for name, value in dataclasses.asdict(Settings()).items()
}


def test_extension_and_readme_follow_the_settings() -> None:
    script = ROOT / "editors" / "write_settings.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {name.removeprefix("santa.") for name in SERVER} == set(DEFAULTS)


@pytest.mark.parametrize("name", SERVER)
def test_a_declaration_says_what_the_server_does(name: str) -> None:
    declared, option = SERVER[name], name.removeprefix("santa.")
    assert declared["default"] == DEFAULTS[option]
    assert declared.get("description") or declared.get("markdownDescription")
    allowed = declared.get("enum", []) + [
        declared[bound] for bound in ("minimum", "maximum") if bound in declared
    ]
    for value in allowed:
        assert parse({option: value})[1] == []
    refused = [
        declared[bound] + step
        for bound, step in (("minimum", -1), ("maximum", 1))
        if bound in declared
    ]
    if "enum" in declared:
        refused.append("something else")
    for value in refused:
        assert parse({option: value})[1] != []


def test_extension_and_server_have_one_version() -> None:
    assert MANIFEST["version"] == __version__
