"""Reads the variables of CTranslate2's model.bin, without their data.

Version 6 of the file: header, then variables (name, shape, type, data), then aliases; integers are
little-endian, strings have a length and a closing zero (CTranslate2's model_reader.cc).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO

from santa_lsp.models import ModelError

_VERSION = 6
_SPECIFICATION = "TransformerDecoderSpec"
#: Bytes of an item by its type, in the order of CTranslate2's numbers.
_ITEM_SIZES = {"float32": 4, "int8": 1, "int16": 2, "int32": 4, "float16": 2, "bfloat16": 2}


@dataclass(frozen=True, slots=True)
class Variable:
    """An array of the file; `offset` in bytes from its start."""

    dtype: str
    shape: tuple[int, ...]
    offset: int


def read_variables(path: Path) -> dict[str, Variable]:
    """By name, without `decoder/`. Raises ModelError."""
    try:
        with path.open("rb") as file:
            return _read(_Reader(file))
    except (ValueError, IndexError, struct.error, OSError) as error:
        raise ModelError(f"{path} is damaged ({error}); install the model again") from error


class _Reader:
    """Fields of a file, one after the other."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def number(self, kind: str) -> int:
        return int(struct.unpack(f"<{kind}", self.file.read(struct.calcsize(kind)))[0])

    def text(self) -> str:
        return self.file.read(self.number("H"))[:-1].decode()


def _read(reader: _Reader) -> dict[str, Variable]:
    if reader.number("I") != _VERSION or reader.text() != _SPECIFICATION:
        raise ValueError(f"no decoder of CTranslate2's format {_VERSION}")
    reader.number("I")  # the specification's revision
    variables = {}
    for _ in range(reader.number("I")):
        name = reader.text().removeprefix("decoder/")
        shape = tuple(reader.number("I") for _ in range(reader.number("B")))
        dtype = list(_ITEM_SIZES)[reader.number("B")]
        size = reader.number("I")
        if size != prod(shape) * _ITEM_SIZES[dtype]:
            raise ValueError(f"{name} has {size} bytes")
        variables[name] = Variable(dtype, shape, reader.file.tell())
        reader.file.seek(size, 1)
    return variables
