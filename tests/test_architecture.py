"""The rooms and who may import whom, as ARCHITECTURE.md draws them; read from the source."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "santa_lsp"
FILES = sorted(PACKAGE.rglob("*.py"))

#: Known everywhere; they know no room.
BASE = {"document", "languages", "settings", "families"}
#: From a room to the rooms that it may import.
ARROWS: dict[str, set[str]] = {
    "document": set(),
    "languages": set(),
    "settings": set(),
    "families": {"languages"},
    "completion": {"languages", "document"},
    "models": {"families"},
    "protocol": {"document"},
    "engines": {"completion", "families", "languages", "models", "settings"},
    "convert": {"completion", "families", "models", "engines"},
    "server": {"protocol", "completion", "engines", "models", "document", "languages", "settings"},
    "bench": {"document", "languages", "models"},
    "commands": {
        *("server", "protocol", "bench", "convert", "engines", "models", "completion"),
        *("languages", "settings"),
    },
    "__main__": {"commands"},
}
#: The only importers of these libraries.
EDGES = {
    "pygls": {"server", "protocol"},
    "lsprotocol": {"server", "protocol"},
    "ctranslate2": {"engines", "convert", "commands"},
    "tokenizers": {"engines", "convert"},
    "gguf": {"convert"},
    "huggingface_hub": {"models"},
    "tqdm": {"bench", "convert"},
}
NEVER = {"torch", "transformers", "model", "requests", "httpx"}
#: Standard library alone, and of that no I/O.
PURE = {"document", "languages", "families", "completion"}
IO_MODULES = {
    *("os", "pathlib", "socket", "subprocess", "asyncio", "shutil", "tempfile", "urllib"),
}
#: Rooms of santa_lsp that `model/` may import.
FOR_TRAINING = {
    *("completion", "engines", "families", "models", "convert", "bench"),
    *("languages", "document", "settings"),
}


def imports(file: Path) -> set[str]:
    """Dotted names of everything a file imports, wherever it does."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = "." * node.level  # relative: of its own folder, or one above it
            names = {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
            found |= {above + name for name in names}
    return found


def room(file: Path) -> str:
    """`santa_lsp/x.py` and everything in `santa_lsp/x/` are the room x."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def rooms_imported(file: Path) -> set[str]:
    names = {name.split(".")[1] for name in imports(file) if name.startswith("santa_lsp.")}
    return names & set(ARROWS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_imports_what_its_room_may(file: Path) -> None:
    here = room(file)
    if here == "__init__":
        assert not imports(file) - {"__future__"}
        return
    libraries = {name.partition(".")[0] for name in imports(file)}
    assert "" not in libraries, "a relative import hides which room it is from"
    assert not libraries & NEVER
    for library, allowed in EDGES.items():
        assert library not in libraries or here in allowed, f"{file} imports {library}"
    assert rooms_imported(file) - {here} <= ARROWS[here]
    if here in PURE:
        assert libraries <= set(sys.stdlib_module_names) | {"santa_lsp", "__future__"}
        assert not libraries & IO_MODULES


def test_there_is_no_circle_between_rooms() -> None:
    graph: dict[str, set[str]] = {}
    for file in FILES:
        graph.setdefault(room(file), set()).update(rooms_imported(file) - {room(file)})
    list(TopologicalSorter(graph).static_order())  # raises CycleError


def test_there_is_no_circle_between_the_files_of_a_room() -> None:
    graph = {}
    for file in FILES:
        name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        graph[name] = {each for each in imports(file) if each != name}
    # `from santa_lsp.x import y` names the package x too, which a module of x may do.
    for name, imported in graph.items():
        graph[name] = {each for each in imported if each in graph and not _is_above(each, name)}
    list(TopologicalSorter(graph).static_order())


def _is_above(package: str, module: str) -> bool:
    return module.startswith(f"{package}.")


def test_training_imports_no_editor_and_serving_no_training() -> None:
    for file in sorted((ROOT / "model").rglob("*.py")):
        assert rooms_imported(file) <= FOR_TRAINING, file


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_is_read_in_one_sitting(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 400


def test_a_client_is_greeted_without_waiting_for_a_library() -> None:
    """What the command imports before it answers `initialize` is quick to import."""
    before = "santa_lsp.commands.main, santa_lsp.server.greeting, santa_lsp.protocol.transports"
    script = f"import sys, {before}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "santa_lsp" in loaded
    assert not loaded & {*EDGES, *NEVER, "asyncio", "attrs", "cattrs", "numpy", "platformdirs"}


ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def test_the_picture_has_every_room_and_every_arrow() -> None:
    for name in ARROWS:
        assert name == "__main__" or re.search(rf"\b{name}\b", ARCHITECTURE), name
    drawn = dict(re.findall(r"^    (\w+) +-> (.+)$", ARCHITECTURE, re.MULTILINE))
    for name, allowed in ARROWS.items():
        if allowed - BASE and name != "__main__":
            assert set(drawn[name].split(", ")) == allowed - BASE, name
    assert len(ARCHITECTURE.splitlines()) <= 100


@pytest.mark.parametrize(
    ("path", "function"),
    re.findall(r"`([\w/]+\.py):([\w.]+)`", ARCHITECTURE),
    ids=lambda each: each,
)
def test_what_the_keystroke_s_table_names_exists(path: str, function: str) -> None:
    file = PACKAGE / path if (PACKAGE / path).exists() else ROOT / path
    tree = ast.parse(file.read_text(encoding="utf-8"))
    body: list[ast.stmt] = tree.body
    for name in function.split("."):
        found = [
            node
            for node in body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and node.name == name
        ]
        assert found, f"{path} has no {function}"
        body = found[0].body


def test_the_table_tells_the_whole_keystroke() -> None:
    named = re.findall(r"`([\w/]+\.py):[\w.]+`", ARCHITECTURE)
    assert len(set(named)) >= 10
