"""Bring a project's archive with its registry's ordinary client, running none of the project's code.

pypi: a wheel, because `pip download` of a source distribution runs its build backend to learn its metadata; a wheel is
only ever unzipped and has the same ``.py`` files. The platform is fixed, so that the hash is the same on every machine.
npm: the published tarball. debian: the upstream tarball of the source package; apt checks it against Debian's
signed index first.
"""

from __future__ import annotations

import hashlib
import os
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
    projects: Iterable[Project], downloads: Path, on_done: Callable[[Project], None] = lambda _: None
) -> tuple[dict[Project, Path], dict[Project, str]]:
    """Bring the archives that are not in ``downloads`` yet; return the archives and, for the rest, why not."""
    archives: dict[Project, Path] = {}
    failures: dict[Project, str] = {}

    def one(project: Project) -> None:
        try:
            archives[project] = fetch(project, downloads)
        except CorpusError as error:
            failures[project] = str(error)
        on_done(project)

    with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
        list(pool.map(one, projects))
    return archives, failures


def fetch(project: Project, downloads: Path) -> Path:
    """The project's archive, checked against its sha256 if it has one. Raises CorpusError."""
    folder = downloads / project.registry
    stem = f"{project.name.replace('/', '__')}-{project.version.replace(':', '_')}"
    folder.mkdir(parents=True, exist_ok=True)
    archive = next((p for p in sorted(folder.iterdir()) if _stem_of(p) == stem), None)
    if archive is None:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as scratch:
            brought = _CLIENTS[project.registry](project, Path(scratch))
            archive = folder / (stem + _suffix_of(brought))
            os.replace(brought, archive)  # whole or not at all: a killed build resumes at this file
    digest = sha256_of(archive)
    if project.sha256 and digest != project.sha256:
        raise CorpusError(
            f"{project.key} {project.version}: sha256 is {digest}, the manifest says {project.sha256}; "
            f"delete {archive} to fetch it again, and if that does not help find out why it changed"
        )
    return archive


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch_pypi(project: Project, scratch: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", *_WHEEL_FOR, "--dest", str(scratch), f"{project.name}=={project.version}"]
    _run(command, project, scratch)
    return _single(scratch, "*.whl", project)


def _fetch_npm(project: Project, scratch: Path) -> Path:
    _run(["npm", "pack", "--silent", "--ignore-scripts", f"{project.name}@{project.version}"], project, scratch)
    return _single(scratch, "*.tgz", project)


def _fetch_debian(project: Project, scratch: Path) -> Path:
    wanted = f"{project.name}={project.version}"
    _run(["apt-get", "source", "-qq", "--download-only", "--only-source", wanted], project, scratch)
    # One upstream tarball, "orig" unless the package is Debian's own; never debian.tar, signatures or extra components.
    pattern = "*.orig.tar.*[!c]" if list(scratch.glob("*.orig.tar.*[!c]")) else "*.tar.*[!c]"
    return _single(scratch, pattern, project)


_CLIENTS = {"pypi": _fetch_pypi, "npm": _fetch_npm, "debian": _fetch_debian}


def _run(command: list[str], project: Project, folder: Path) -> None:
    where = f"{project.key} {project.version}"
    if shutil.which(command[0]) is None:
        raise CorpusError(f"{where}: needs the program {command[0]}: install it or leave such projects out with --only")
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=CLIENT_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise CorpusError(f"{where}: {command[0]} took over {CLIENT_SECONDS} s: run the build again") from error
    if done.returncode == 0:
        return
    output = (done.stderr + done.stdout).strip()
    if "deb-src" in output:
        raise CorpusError(
            f"{where}: apt knows no source packages; add `deb-src` lines (or `Types: deb deb-src` in a .sources "
            "file) to /etc/apt, then run `apt-get update`"
        )
    if project.registry == "debian" and ("Can not find version" in output or "Unable to find" in output):
        raise CorpusError(
            f"{where}: Debian no longer (or not yet) has this version here; run `apt-get update`, or pin the present "
            f"one with `python -m model.corpus pin debian {project.name}`"
        )
    raise CorpusError(f"{where}: {command[0]} failed: {' '.join(output.splitlines()[-3:]) or done.returncode}")


def _single(folder: Path, pattern: str, project: Project) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "nothing"
        raise CorpusError(f"{project.key} {project.version}: expected one archive, the client brought {names}")
    return found[0]


_SUFFIXES = (".whl", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2", ".zip")


def _suffix_of(path: Path) -> str:
    return next((suffix for suffix in _SUFFIXES if path.name.endswith(suffix)), path.suffix)


def _stem_of(path: Path) -> str:
    return path.name.removesuffix(_suffix_of(path))
