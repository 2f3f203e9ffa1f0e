"""Read the source files of an archive without writing or running anything.

Members are read into memory and never laid out on disk, so a hostile name, link or device has nowhere to go.
"""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from .documents import CorpusError

MAX_ARCHIVE_BYTES = 8 * 2**30  # unpacked; a larger one is a bomb or a mistake

Wanted = Callable[[str], bool]


def read_archive(path: Path, wanted: Wanted, max_bytes: int) -> Iterator[tuple[str, bytes]]:
    """Yield (path inside the archive, content) of the regular files that ``wanted`` accepts, in the archive's order.

    Links, devices, names that leave the archive and members over ``max_bytes`` are passed over.
    Raises CorpusError if the archive is damaged or unpacks to more than `MAX_ARCHIVE_BYTES`.
    """
    read = _read_zip if zipfile.is_zipfile(path) else _read_tar
    try:
        yield from read(path, wanted, max_bytes)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, RuntimeError, ValueError) as error:
        raise CorpusError(f"{path} is damaged ({error}): delete it and build again") from error


def _read_zip(path: Path, wanted: Wanted, max_bytes: int) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            mode = member.external_attr >> 16
            regular = not member.is_dir() and (mode & 0o170000) in (0, 0o100000)
            name = safe_name(member.filename)
            if regular and name and member.file_size <= max_bytes and wanted(name):
                with archive.open(member) as file:
                    yield name, file.read(max_bytes)


def _read_tar(path: Path, wanted: Wanted, max_bytes: int) -> Iterator[tuple[str, bytes]]:
    total = 0
    with tarfile.open(path) as archive:
        for member in archive:
            total += member.size
            if total > MAX_ARCHIVE_BYTES:
                raise CorpusError(f"{path} unpacks to over {MAX_ARCHIVE_BYTES} bytes: leave it out of the manifest")
            name = safe_name(member.name)
            if member.isreg() and name and member.size <= max_bytes and wanted(name):
                file = archive.extractfile(member)
                assert file is not None  # a regular file always has content
                yield name, file.read()


def safe_name(name: str) -> str | None:
    """A member's name as a clean relative path, or None if it points outside the archive."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.parts or ":" in path.parts[0] or "\0" in name:
        return None
    return str(path)
