"""Write the settings into the README's table and the VS Code extension's options.

    python editors/write_settings.py [--check]

`santa_lsp/settings.py` is where they are declared; `--check` only says whether the two follow it.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import Field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
MANIFEST = ROOT / "editors" / "vscode" / "package.json"
sys.path.insert(0, str(ROOT))

from santa_lsp.settings import options  # noqa: E402

_TABLE = re.compile(r"(?<=\| setting \| default \| \|\n\|---\|---\|---\|\n)(?:\|.*\n)+")
#: Longer lists are shortened in the table.
_SHOWN = 40


def table() -> str:
    """The rows of the README's table."""
    return "".join(
        f"| `{name}` | `{_shortened(_default(each))}` | {each.metadata['purpose']} |\n"
        for name, each in options().items()
    )


def properties() -> dict[str, dict[str, Any]]:
    """VS Code's options for the server."""
    return {
        f"santa.{name}": {
            **each.metadata["schema"],
            "default": _default(each),
            "markdownDescription": _sentence(each.metadata["purpose"]),
        }
        for name, each in options().items()
    }


def written() -> dict[Path, str]:
    """Both files as they should be."""
    readme = README.read_text(encoding="utf-8")
    manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))
    (server,) = (
        section
        for section in manifest["contributes"]["configuration"]
        if section["title"] == "Server"
    )
    server["properties"] = properties()
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    return {README: _TABLE.sub(lambda _: table(), readme), MANIFEST: text}


def _default(each: Field[Any]) -> Any:
    return list(each.default) if isinstance(each.default, tuple) else each.default


def _shortened(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else text[: text.rindex(",", 0, _SHOWN)] + ", …]"


def _sentence(purpose: str) -> str:
    return purpose[0].upper() + purpose[1:] + "."


def main() -> None:
    stale = [file for file, text in written().items() if file.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv[1:]:
        names = ", ".join(str(file.relative_to(ROOT)) for file in stale)
        sys.exit(f"python editors/write_settings.py would change {names}" if stale else 0)
    for file, text in written().items():
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
