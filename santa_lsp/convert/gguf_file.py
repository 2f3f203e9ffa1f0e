"""Files in the GGUF format: metadata, then the names and places of tensors, then their data.

The header is read here, because the `gguf` package makes several objects of every token. The
package computes the values of quantized blocks.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from santa_lsp.convert.errors import ConvertError
from santa_lsp.convert.tensors import Array, Tensor, stored

MAGIC = b"GGUF"
_VERSIONS = (2, 3)
#: struct's codes of the scalar types, by GGUF's numbers.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q"}
_SCALARS[12] = "d"
_STRING, _ARRAY = 8, 9
#: GGUF's numbers of types that are plain floats.
_FLOATS = {0: "float32", 1: "float16", 28: "float64", 30: "bfloat16"}
#: Values that are dequantized at a time: intermediate values take several times their room.
_PIECE = 1 << 18
_PART = re.compile(r"(.+)-\d{5}-of-(\d{5})\.gguf")


@dataclass(frozen=True, slots=True)
class GGUF:
    """Metadata by key, and tensors by name; their data stay in the file."""

    metadata: dict[str, Any]
    tensors: dict[str, Tensor]


def is_gguf(start: bytes) -> bool:
    """Whether a file that begins like this is one."""
    return start.startswith(MAGIC)


def read_gguf(path: Path) -> GGUF:
    """Of a file, and of the parts beside it when it is the first of several.

    Raises ConvertError.
    """
    first = _read_file(path)
    count = first.metadata.get("split.count", 1)
    if not isinstance(count, int) or count < 2:
        return first
    tensors = dict(first.tensors)
    match = _PART.fullmatch(path.name)
    if match is None or int(match[2]) != count or first.metadata.get("split.no") != 0:
        raise ConvertError(f"{path} is a part of {count}; name the first, NAME-00001-of-00003.gguf")
    for number in range(2, count + 1):
        part = path.with_name(f"{match[1]}-{number:05}-of-{count:05}.gguf")
        if not part.is_file():
            raise ConvertError(
                f"{path.parent} has no {part.name}; download the model's other parts"
            )
        tensors |= _read_file(part).tensors
    return GGUF(first.metadata, tensors)


def _read_file(path: Path) -> GGUF:
    try:
        with path.open("rb") as file:
            return _Reader(file, path).read()
    except (struct.error, EOFError) as error:
        raise ConvertError(f"{path} is cut short; download it again") from error
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise ConvertError(f"{path} is damaged ({error!r}); download it again") from error


class _Reader:
    """Fields of a file, one after the other; integers are little-endian."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path = file, path
        self._size = path.stat().st_size

    def read(self) -> GGUF:
        """Raises ConvertError, and ValueError or EOFError for what is damaged."""
        self._bytes(len(MAGIC))
        version = self._number("I")
        if version not in _VERSIONS:
            big = version & 0xFFFF == 0
            raise ConvertError(
                f"{self._path} is GGUF of "
                f"{'a big-endian machine' if big else f'version {version}'}, which is not supported"
            )
        tensors, keys = self._number("Q"), self._number("Q")
        metadata = {self._text(): self._value(self._number("I")) for _ in range(keys)}
        places = [self._place() for _ in range(tensors)]
        alignment = metadata.get("general.alignment", 32)
        start = -(-self._file.tell() // alignment) * alignment
        return GGUF(
            metadata,
            {name: self._tensor(name, start + at, shape, kind) for name, at, shape, kind in places},
        )

    def _bytes(self, count: int) -> bytes:
        data = self._file.read(count) if count <= self._size else b""
        if len(data) < count:
            raise EOFError
        return data

    def _number(self, code: str) -> Any:
        return struct.unpack(f"<{code}", self._bytes(struct.calcsize(code)))[0]

    def _text(self) -> str:
        return self._bytes(self._number("Q")).decode()

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._text()
        if kind != _ARRAY:
            return self._number(_SCALARS[kind])
        item, count = self._number("I"), self._number("Q")
        if item in _SCALARS:
            code = _SCALARS[item]
            data = self._bytes(count * struct.calcsize(code))
            return np.frombuffer(data, np.dtype(code).newbyteorder("<")).tolist()
        if count > self._size:
            raise EOFError
        return [self._value(item) for _ in range(count)]

    def _place(self) -> tuple[str, int, tuple[int, ...], int]:
        """Name, offset from the start of the data, shape, type."""
        name = self._text()
        shape = tuple(self._number("Q") for _ in range(self._number("I")))[::-1]
        kind = self._number("I")
        return name, self._number("Q"), shape, kind

    def _tensor(self, name: str, offset: int, shape: tuple[int, ...], kind: int) -> Tensor:
        block, size = _block_of(kind, name)
        if prod(shape) % block or (shape and shape[-1] % block):
            raise ValueError(f"{name} has rows that are not made of blocks of {block}")
        if offset + prod(shape) // block * size > self._size:
            raise EOFError
        if kind in _FLOATS:
            return stored(self._path, offset, _FLOATS[kind], shape)
        return _quantized(self._path, offset, shape, kind)


def _block_of(kind: int, name: str) -> tuple[int, int]:
    """Values, and bytes, of a block of a type. Raises ConvertError."""
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    try:
        return GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
    except (ValueError, KeyError) as error:
        raise ConvertError(
            f"{name} is of a type ({kind}) that the gguf package does not know; update it, or "
            "convert another quantization of the model"
        ) from error


def _quantized(path: Path, offset: int, shape: tuple[int, ...], kind: int) -> Tensor:
    """A tensor of blocks that share their scales."""
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
    from gguf.quants import dequantize

    quantization = GGMLQuantizationType(kind)
    block, size = GGML_QUANT_SIZES[quantization]

    def read() -> Array:
        values = np.empty(prod(shape), np.float32)
        row = block * max(1, _PIECE // block)
        with path.open("rb") as file:
            file.seek(offset)
            for start in range(0, values.size, row):
                count = min(row, values.size - start)
                # As one row: the package works on 16 rows at a time.
                data = np.fromfile(file, np.uint8, count // block * size)
                try:
                    piece = dequantize(data, quantization)
                except NotImplementedError as error:
                    raise ConvertError(
                        f"the gguf package cannot read values of type {quantization.name}; "
                        "convert another quantization of the model"
                    ) from error
                values[start : start + count] = piece
        return values.reshape(shape)

    return Tensor(shape, read)
