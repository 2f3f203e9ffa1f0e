"""Who may import whom: the dependency direction of ARCHITECTURE.md, read from the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "santa_lsp").rglob("*.py"))

#: These know no I/O and no library: the text work of a completion.
PURE = {"context", "prompt", "postprocess", "cache", "document", "statistics", "budget", "rhythm"}
#: The only importers of these libraries.
EDGES = {
    "pygls": {"server", "protocol"},
    "lsprotocol": {"server", "protocol"},
    "ctranslate2": {"engines", "convert", "doctor"},
    "tokenizers": {"engines", "convert"},
    "huggingface_hub": {"models"},
}
NEVER = {"torch", "transformers", "model", "requests", "httpx"}
IO_MODULES = {
    "os",
    "io",
    "pathlib",
    "socket",
    "subprocess",
    "asyncio",
    "shutil",
    "tempfile",
    "urllib",
}


def imports(file: Path) -> set[str]:
    """Dotted names of everything a file imports, wherever it does."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return found


def area(file: Path) -> str:
    """`santa_lsp/x.py` and everything in `santa_lsp/x/` are the area x."""
    return file.relative_to(ROOT / "santa_lsp").parts[0].removesuffix(".py")


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_dependencies_point_one_way(file: Path) -> None:
    names = imports(file)
    libraries = {name.partition(".")[0] for name in names}
    ours = {name.split(".")[1] for name in names if name.startswith("santa_lsp.")}
    assert not libraries & NEVER
    for library, allowed in EDGES.items():
        if library in libraries:
            assert area(file) in allowed, f"{file} imports {library}"
    if area(file) in PURE:
        assert libraries <= set(sys.stdlib_module_names) | {"santa_lsp", "__future__"}
        allowed_io = {"io"} if area(file) == "document" else set()  # StringIO splits lines
        assert not libraries & (IO_MODULES - allowed_io)
        assert ours <= PURE
    if area(file) == "completer":
        assert ours <= PURE | {"engine"}
    if area(file) not in {"server", "cli", "__main__", "protocol"}:
        assert not ours & {"server", "cli", "protocol"}


def test_a_client_is_greeted_without_waiting_for_a_library() -> None:
    """What the command imports before it answers `initialize` is quick to import."""
    before = "santa_lsp.cli, santa_lsp.protocol.greeting, santa_lsp.protocol.transports"
    script = f"import sys, {before}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "santa_lsp" in loaded
    assert not loaded & {*EDGES, *NEVER, "asyncio", "attrs", "cattrs", "numpy", "platformdirs"}


def test_the_map_of_architecture_md_names_every_file() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    for package in ("santa_lsp", "model"):
        for file in sorted((ROOT / package).iterdir()):
            if file.name.startswith("__") or file.suffix not in {"", ".py"}:
                continue
            name = file.name + ("/" if file.is_dir() else "")
            assert f"{name} " in text or f"`{name}`" in text, f"{package}/{name}"
