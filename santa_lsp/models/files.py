"""Writing files and folders completely or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A new file beside `path` to write. When the block ends without error, it replaces `path`.

    Makes the folders above. Raises OSError; `path` is then unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
    os.close(handle)
    new = Path(name)
    try:
        yield new
        new.chmod(_usual_mode(0o666))
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def write_whole(path: Path, content: str | bytes) -> None:
    """Replace a file's content (text as UTF-8). Raises OSError; the file is then unchanged."""
    with whole_file(path) as new:
        new.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """As `whole_file`, for a folder that does not exist yet. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent))
    try:
        yield new
        new.chmod(_usual_mode(0o777))
        new.rename(path)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


@contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """As `whole_folder`, for a folder that may exist already. One writer at a time.

    A kill between the two renames sets the old folder aside: `restore_folder` puts it back.
    """
    restore_folder(path)
    new, old = _beside(path, "new"), _beside(path, "old")
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        yield new
        if path.exists():
            path.rename(old)
        new.rename(path)
    except BaseException:
        restore_folder(path)
        shutil.rmtree(new, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)


def restore_folder(path: Path) -> None:
    """Put back the folder that an interrupted `replaced_folder` set aside, if it did."""
    old = _beside(path, "old")
    if old.exists() and not path.exists():
        old.rename(path)


def _beside(path: Path, kind: str) -> Path:
    return path.with_name(f".{path.name}.{kind}")


def remove_folder(path: Path) -> None:
    """Delete a folder. It is renamed first, so that an interruption leaves no half of it there."""
    condemned = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".removed", dir=path.parent))
    path.rename(condemned / path.name)
    with suppress(OSError):
        shutil.rmtree(condemned)


def _usual_mode(mode: int) -> int:
    """The rights that a new file usually gets; `tempfile` gives the owner's alone."""
    mask = os.umask(0)
    os.umask(mask)
    return mode & ~mask
