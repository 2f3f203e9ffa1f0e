"""Read the source files of an archive without writing or running anything.

Members are read into memory and never laid out on disk, so a hostile name, link or device has
nowhere to go.
"""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from .documents import CorpusError

MAX_ARCHIVE_BYTES = 8 * 2**30  # unpacked: more is a bomb or a mistake
_DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError,
    EOFError, OSError, RuntimeError, ValueError,
)  # fmt: skip

Wanted = Callable[[str], bool]


def read_archive(path: Path, wanted: Wanted, max_bytes: int) -> Iterator[tuple[str, bytes]]:
    """Yield (path inside the archive, content) of regular files that ``wanted`` accepts, in order.

    Links, devices, names that leave the archive and members over ``max_bytes`` are passed over.
    Raises CorpusError if the archive is damaged or unpacks to over `MAX_ARCHIVE_BYTES`.
    """
    read = _read_zip if zipfile.is_zipfile(path) else _read_tar
    try:
        yield from read(path, wanted, max_bytes)
    except _DAMAGE as error:
        raise CorpusError(f"{path} is damaged ({error}): delete it and build again") from error


def safe_name(name: str) -> str | None:
    """A member's name as a clean relative path, or None if it points outside the archive."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.parts:
        return None
    if ":" in path.parts[0] or "\0" in name:
        return None
    return str(path)


def _read_zip(path: Path, wanted: Wanted, max_bytes: int) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        _check_size(path, sum(member.file_size for member in archive.infolist()))
        for member in archive.infolist():
            kind = member.external_attr >> 28  # of a Unix mode: 8 a regular file, 0 not given
            name = safe_name(member.filename)
            if member.is_dir() or kind not in (0, 8) or not name or not wanted(name):
                continue
            if member.file_size <= max_bytes:
                with archive.open(member) as file:
                    yield name, file.read(max_bytes)


def _read_tar(path: Path, wanted: Wanted, max_bytes: int) -> Iterator[tuple[str, bytes]]:
    size = 0
    with tarfile.open(path) as archive:
        for member in archive:
            size += member.size
            _check_size(path, size)
            name = safe_name(member.name)
            if not member.isreg() or not name or not wanted(name) or member.size > max_bytes:
                continue
            file = archive.extractfile(member)
            assert file is not None  # a regular file has content
            yield name, file.read()


def _check_size(path: Path, size: int) -> None:
    if size > MAX_ARCHIVE_BYTES:
        raise CorpusError(
            f"{path} unpacks to over {MAX_ARCHIVE_BYTES} bytes: take it out of the manifest"
        )
