"""Files and folders that are there whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A new file beside `path` to write; it takes the path's place when the block has ended well.

    Folders above it are made. Raises OSError; `path` is then as it was.
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
    """Replace a file's content (text as UTF-8). Raises OSError; the file is then as it was."""
    with whole_file(path) as new:
        new.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """As `whole_file` for a folder that is not there yet. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent))
    try:
        yield new
        new.chmod(_usual_mode(0o777))
        new.rename(path)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


def remove_folder(path: Path) -> None:
    """Delete a folder. It is renamed first: cut short, nothing half remains under its name."""
    condemned = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".removed", dir=path.parent))
    path.rename(condemned / path.name)
    with suppress(OSError):
        shutil.rmtree(condemned)


def _usual_mode(mode: int) -> int:
    """What a new file or folder gets of these rights; `tempfile` gives its owner's alone."""
    mask = os.umask(0)
    os.umask(mask)
    return mode & ~mask
