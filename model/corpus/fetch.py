"""Bring a project's archive with its registry's ordinary client, running none of its code.

pypi: a wheel, because `pip download` of a source distribution runs its build backend to learn its
metadata; a wheel is only ever unzipped, and has the same ``.py`` files. The platform is fixed, so
that the hash is the same on every machine. npm: the published tarball. debian: the upstream
tarball of the source package, which apt checks against Debian's signed index.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .documents import CorpusError
from .manifest import Project

PARALLEL_DOWNLOADS = 4
CLIENT_SECONDS = 1800
_WHEEL_FOR = (
    "--python-version=3.11", "--implementation=cp", "--abi=cp311", "--abi=abi3", "--abi=none",
    "--platform=manylinux_2_28_x86_64", "--platform=manylinux2014_x86_64", "--platform=any",
)  # fmt: skip


def fetch_all(
    projects: Iterable[Project], downloads: Path, on_done: Callable[[], object] = lambda: None
) -> tuple[dict[Project, Path], list[str]]:
    """Bring the archives that ``downloads`` has not; return them all, and why any is missing."""
    archives: dict[Project, Path] = {}
    failures: list[str] = []

    def fetch_one(project: Project) -> None:
        try:
            archives[project] = fetch(project, downloads)
        except CorpusError as error:
            failures.append(str(error))
        on_done()

    with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
        list(pool.map(fetch_one, projects))
    return archives, sorted(failures)


def fetch(project: Project, downloads: Path) -> Path:
    """The project's archive, checked against its version and sha256. Raises CorpusError."""
    folder = downloads / project.registry
    stem = f"{project.name.replace('/', '__')}-{project.version.replace(':', '_')}"
    folder.mkdir(parents=True, exist_ok=True)
    archive = next((path for path in sorted(folder.iterdir()) if _stem_of(path) == stem), None)
    if archive is None:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as scratch:
            brought = bring(project.registry, project.name, project.version, Path(scratch))
            if brought.version != project.version:
                raise CorpusError(
                    f"{project.key}: the registry brought {brought.version} for {project.version}"
                )
            archive = folder / (stem + _suffix_of(brought.archive))
            # Whole or not at all, so that a build that was killed resumes with this file.
            os.replace(brought.archive, archive)
    digest = sha256_of(archive)
    if digest != project.sha256:
        raise CorpusError(
            f"{project.key} {project.version}: sha256 is {digest}, the manifest says "
            f"{project.sha256}; delete {archive} to fetch it again, and if that does not help "
            "find out why it changed"
        )
    return archive


@dataclasses.dataclass(frozen=True, slots=True)
class Brought:
    """An archive that a client brought, and its version."""

    archive: Path
    version: str


def bring(registry: str, name: str, version: str, scratch: Path) -> Brought:
    """Have the registry's client put an archive in ``scratch``; no version means the newest."""
    return _CLIENTS[registry](name, version, scratch)


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _bring_pypi(name: str, version: str, scratch: Path) -> Brought:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", *_WHEEL_FOR]
    _run([*command, f"{name}=={version}" if version else name], f"pypi:{name} {version}", scratch)
    wheel = _single(scratch, "*.whl")
    return Brought(wheel, wheel.name.split("-")[1])  # PEP 427: name-version-tags


def _bring_npm(name: str, version: str, scratch: Path) -> Brought:
    wanted = f"{name}@{version}" if version else name
    _run(["npm", "pack", "--silent", "--ignore-scripts", wanted], f"npm:{name} {version}", scratch)
    tarball = _single(scratch, "*.tgz")
    flat = name.replace("@", "").replace("/", "-")
    return Brought(tarball, tarball.name.removeprefix(f"{flat}-").removesuffix(".tgz"))


def _bring_debian(name: str, version: str, scratch: Path) -> Brought:
    wanted = f"{name}={version}" if version else name
    command = ["apt-get", "source", "-qq", "--download-only", "--only-source", wanted]
    _run(command, f"debian:{name} {version}", scratch)
    description = _single(scratch, "*.dsc").read_text(encoding="utf-8", errors="replace")
    found = re.search(r"^Version: *(\S+)", description, re.MULTILINE)
    # The upstream tarball, or the only one of a package that is Debian's own.
    upstream = "*.orig.tar.*[!c]" if any(scratch.glob("*.orig.tar.*[!c]")) else "*.tar.*[!c]"
    return Brought(_single(scratch, upstream), found.group(1) if found else "")


_CLIENTS = {"pypi": _bring_pypi, "npm": _bring_npm, "debian": _bring_debian}


def _run(command: list[str], what: str, folder: Path) -> None:
    program = command[0]
    if shutil.which(program) is None:
        raise CorpusError(
            f"{what}: needs {program}: install it, or leave such projects out with --only"
        )
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace",
            timeout=CLIENT_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise CorpusError(
            f"{what}: {program} took over {CLIENT_SECONDS} s: run the build again"
        ) from error
    if done.returncode == 0:
        return
    output = (done.stderr + done.stdout).strip()
    if "deb-src" in output:
        raise CorpusError(
            f"{what}: apt knows no source packages: add `deb-src` lines (or `Types: deb deb-src` "
            "in a .sources file) under /etc/apt, then run `apt-get update`"
        )
    if program == "apt-get" and ("not find version" in output or "Unable to find" in output):
        raise CorpusError(
            f"{what}: Debian has no such version here: run `apt-get update`, or pin the present "
            f"one with `python -m model.corpus pin {what.split()[0].replace(':', ' ')}`"
        )
    raise CorpusError(f"{what}: {program} failed: {' '.join(output.splitlines()[-3:])}")


def _single(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        names = ", ".join(path.name for path in sorted(folder.iterdir())) or "nothing"
        raise CorpusError(f"expected one {pattern}, the client brought {names}")
    return found[0]


_SUFFIXES = (".whl", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2", ".zip")


def _suffix_of(path: Path) -> str:
    return next((suffix for suffix in _SUFFIXES if path.name.endswith(suffix)), path.suffix)


def _stem_of(path: Path) -> str:
    return path.name.removesuffix(_suffix_of(path))
