"""Evaluation data on disk: JSON lines, gzip-compressed or not. Never part of this project."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model.evaluate.task import EvaluateError
from model.evaluation_data import VARIABLE, default_folder


def location(data: Path | None) -> Path:
    """The file or folder of --data, by default that of SANTA_EVAL_DIR. Raises EvaluateError."""
    named = data or default_folder()
    if named is None:
        raise EvaluateError(f"no data: give --data FILE|DIR, or set {VARIABLE} to the folder")
    if not named.exists():
        raise EvaluateError(f"{named} does not exist")
    return named


def find(folder: Path, patterns: Sequence[str]) -> Path | None:
    """The first file, by path, of `folder` and its folders that a pattern matches."""
    found = {file for pattern in patterns for file in folder.rglob(pattern) if file.is_file()}
    return min(found, default=None)


def read_rows(path: Path, *required: str) -> tuple[list[dict[str, Any]], str]:
    """The rows of a file and its SHA-256. Every row has the `required` keys; EvaluateError."""
    try:
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        text = content.decode("utf-8")
    except (gzip.BadGzipFile, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise EvaluateError(f"{path} is damaged: {error}") from error
    except OSError as error:
        raise EvaluateError(f"{path} cannot be read: {error.strerror}") from error
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise EvaluateError(f"{path}:{number} is not JSON") from error
        missing = [key for key in required if not isinstance(row, dict) or key not in row]
        if missing:
            raise EvaluateError(f"{path}:{number} has no {' and no '.join(missing)}")
        rows.append(row)
    return rows, digest
