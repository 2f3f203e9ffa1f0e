"""A registry in a folder, with clients that bring what is in it, and a manifest."""

from __future__ import annotations

import io
import json
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from model.corpus import Document, iter_documents
from model.corpus.__main__ import main
from model.corpus.fetch import sha256_of

APACHE = "                    Apache License\n                Version 2.0, January 2004\n"


def python_source(name: str) -> str:
    """An ordinary file; no two names give near duplicates."""
    lines = [f"    {name}_{i} = {name}_{i + 1} * {name}_{i + 2}  # {name} {i}\n" for i in range(30)]
    return f'"""About {name}."""\n\n\ndef {name}():\n' + "".join(lines)


def java_source(name: str) -> str:
    return f"/* Copyright (c) 2021 {name} Authors */\n" + python_source(name).replace("#", "//")


def js_source(name: str) -> str:
    return java_source(name) + "export default sum;\n"


def tarball(path: Path, top: str, files: dict[str, str]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"{top}/{name}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def wheel(path: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return path


CLIENT = """#!{python}
# Stands for pip, npm and apt-get: copies what the test registry has, and notes each call.
import os, pathlib, shutil, sys
registry = pathlib.Path({registry!r})
wanted = sys.argv[-1]
with open(registry / "calls", "a") as calls:
    print(os.path.basename(sys.argv[0]), *sys.argv[1:], file=calls)
target = pathlib.Path(sys.argv[sys.argv.index("--dest") + 1] if "--dest" in sys.argv else ".")
name = wanted.replace("==", "=").replace("/", "+")
head, at, version = name.rpartition("@")
name = f"{{head}}={{version}}" if head else name
folder = registry / name
if (registry / "error").exists():
    sys.exit((registry / "error").read_text())
if not folder.exists():
    sys.exit(f"E: Can not find version in {{wanted}}")
for file in folder.iterdir():
    shutil.copy(file, target)
"""


class Registry:
    """A folder of archives, the clients that bring them, and a manifest that lists them."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root / "registry"
        self.manifest = root / "corpus.toml"
        self.downloads = root / "downloads"
        self.out = root / "out"
        self.rows: list[str] = []
        clients = root / "bin"
        for folder in (self.root, clients):
            folder.mkdir()
        for name in ("npm", "apt-get", "python"):
            client = clients / name
            client.write_text(CLIENT.format(python=sys.executable, registry=str(self.root)))
            client.chmod(0o755)
        monkeypatch.setenv("PATH", str(clients), prepend=":")
        monkeypatch.setattr("model.corpus.fetch.sys.executable", str(clients / "python"))
        monkeypatch.delenv("SANTA_EVAL_DIR", raising=False)

    def folder(self, wanted: str) -> Path:
        folder = self.root / wanted
        folder.mkdir()
        return folder

    def pypi(
        self, name: str, files: dict[str, str], licence: str = "MIT", metadata: str = ""
    ) -> None:
        """Put a wheel on the index and into the manifest; it declares its licence."""
        folder = self.folder(f"{name}=1.0")
        metadata = f"Name: {name}\n" + (metadata or f"License-Expression: {licence}\n")
        files = {f"{name}-1.0.dist-info/METADATA": metadata, **files}
        archive = wheel(folder / f"{name}-1.0-py3-none-any.whl", files)
        self.list("pypi", name, "1.0", licence, sha256_of(archive))

    def npm(
        self,
        name: str,
        files: dict[str, str],
        licence: str = "ISC",
        extra: str = "",
        package: object = None,
    ) -> None:
        """Put a tarball with its package.json on the registry and into the manifest."""
        files = {"package.json": json.dumps(package or {"license": licence}), **files}
        folder = self.folder(f"{name.replace('/', '+')}=2.0.0")
        flat = name.replace("@", "").replace("/", "-")
        archive = tarball(folder / f"{flat}-2.0.0.tgz", "package", files)
        self.list("npm", name, "2.0.0", licence, sha256_of(archive), extra)

    def debian(
        self, name: str, files: dict[str, str], licence: str = "Apache-2.0", text: str = APACHE
    ) -> None:
        """Put a source package and its licence file on the archive and into the manifest."""
        folder = self.folder(f"{name}=1:3.0-1")
        files = {"LICENSE.txt": text, **files}
        archive = tarball(folder / f"{name}_3.0.orig.tar.gz", f"{name}-3.0", files)
        tarball(folder / f"{name}_3.0-1.debian.tar.xz", "debian", {"rules.py": "not this one"})
        (folder / f"{name}_3.0.orig.tar.gz.asc").write_text("a signature")
        (folder / f"{name}_3.0-1.dsc").write_text(f"Source: {name}\nVersion: 1:3.0-1\n")
        self.list("debian", name, "1:3.0-1", licence, sha256_of(archive))

    def list(
        self, registry: str, name: str, version: str, licence: str, sha256: str, extra: str = ""
    ) -> None:
        values = {"registry": registry, "name": name, "version": version, "licence": licence}
        fields = ", ".join(f'{key}="{v}"' for key, v in (values | {"sha256": sha256}).items())
        self.rows.append(f"  {{ {fields}{extra} }},")

    def build(self, *arguments: str, out: Path | None = None, held_out: str = "[]") -> int:
        rows = "\n".join(self.rows)
        self.manifest.write_text(f"held_out = {held_out}\nprojects = [\n{rows}\n]\n")
        common = ["--manifest", str(self.manifest), "--downloads", str(self.downloads)]
        return main(["build", str(out or self.out), *common, *arguments])

    @property
    def table(self) -> dict[str, Any]:
        return json.loads((self.out / "corpus.json").read_text())

    @property
    def documents(self) -> dict[tuple[str, str], Document]:
        return {(d.package, d.path): d for d in iter_documents(self.out)}

    @property
    def calls(self) -> list[str]:
        return (self.root / "calls").read_text().splitlines()
