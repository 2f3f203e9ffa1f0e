"""Tensors that stay in their file until they are read: no model need fit in memory whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from santa_lsp.convert.errors import ConvertError

Array = NDArray[np.float32]

#: Bytes of an element, by the names that PyTorch and safetensors agree on.
ITEM_SIZES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}
#: Values that are rounded at a time.
_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class Tensor:
    """A shape, and `read`: a fresh contiguous float32 array of it, or ConvertError."""

    shape: tuple[int, ...]
    read: Callable[[], Array]

    def __setstate__(self, state: object) -> None:
        raise ConvertError("a pickle tried to alter a tensor; do not trust this file")


def stored(path: Path, offset: int, dtype: str, shape: tuple[int, ...]) -> Tensor:
    """The contiguous tensor at a byte offset of a file."""
    return strided(path, offset, dtype, shape, _contiguous_strides(shape))


def strided(
    path: Path, offset: int, dtype: str, shape: tuple[int, ...], strides: tuple[int, ...]
) -> Tensor:
    """A tensor at a byte offset of a file, with steps of `strides` elements; all in range."""

    def read() -> Array:
        if dtype not in ITEM_SIZES:
            raise ConvertError(f"{path.name} holds {dtype}; only floats can be converted")
        if 0 in shape:
            return np.zeros(shape, np.float32)
        count = 1 + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
        flat = _decode(_read_bytes(path, offset, count * ITEM_SIZES[dtype]), dtype)
        steps = [step * flat.itemsize for step in strides]
        return np.ascontiguousarray(np.lib.stride_tricks.as_strided(flat, shape, steps))

    return Tensor(shape, read)


def transpose(tensor: Tensor) -> Tensor:
    """Conv1D's [in, out] as Linear's [out, in]; a bias is left alone."""
    if len(tensor.shape) < 2:
        return tensor
    return Tensor(tensor.shape[::-1], lambda: np.ascontiguousarray(tensor.read().T))


def stack_rows(tensors: Sequence[Tensor]) -> Tensor:
    """The rows of the tensors, one after the other."""
    rows = sum(tensor.shape[0] for tensor in tensors)
    return Tensor(
        (rows, *tensors[0].shape[1:]), lambda: np.concatenate([tensor.read() for tensor in tensors])
    )


def scaled(tensor: Tensor, factor: float) -> Tensor:
    """Every value times `factor`."""

    def read() -> Array:
        array = tensor.read()
        array *= np.float32(factor)
        return array

    return Tensor(tensor.shape, read)


def some_rows(tensor: Tensor, start: int, stop: int) -> Tensor:
    return Tensor((stop - start, *tensor.shape[1:]), lambda: tensor.read()[start:stop].copy())


def pair_heads(tensor: Tensor, n_head: int) -> Tensor:
    """Rows [head][2][pair] as rows [head][pair][2], as llama.cpp orders what turns together."""

    def read() -> Array:
        array = tensor.read()
        halves = array.reshape(n_head, 2, -1, *array.shape[1:])
        return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(array.shape)

    return Tensor(tensor.shape, read)


def halve_heads(tensor: Tensor, n_head: int) -> Tensor:
    """Rows [head][pair][2] as rows [head][2][pair], the other way around."""

    def read() -> Array:
        array = tensor.read()
        pairs = array.reshape(n_head, -1, 2, *array.shape[1:])
        return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(array.shape)

    return Tensor(tensor.shape, read)


def separate_heads(tensor: Tensor, n_head: int) -> Tensor:
    """Rows [head][q, k, v] as rows [q, k, v][head]."""

    def read() -> Array:
        array = tensor.read()
        heads = array.reshape(n_head, 3, -1, *array.shape[1:])
        return np.ascontiguousarray(heads.swapaxes(0, 1)).reshape(array.shape)

    return Tensor(tensor.shape, read)


def encode(array: Array, dtype: str) -> bytes:
    """The little-endian bytes of finite float32 values as another float type.

    Raises FloatingPointError when one is too large for it.
    """
    if dtype != "bfloat16":
        with np.errstate(over="raise"):
            return array.astype(np.dtype(dtype).newbyteorder("<"), copy=False).tobytes()
    flat = array.reshape(-1).view(np.uint32)
    encoded = np.empty(flat.size, "<u2")
    for start in range(0, flat.size, _PIECE):  # a whole tensor's intermediate values are large
        bits = flat[start : start + _PIECE]
        rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16  # to nearest, ties to even
        encoded[start : start + _PIECE] = rounded
    return encoded.tobytes()


def _decode(data: bytearray, dtype: str) -> Array:
    if dtype == "bfloat16":
        bits = np.frombuffer(data, "<u2").astype(np.uint32)
        bits <<= 16
        return bits.view(np.float32)
    stored_type = np.dtype(dtype).newbyteorder("<")
    return np.frombuffer(data, stored_type).astype(np.float32, copy=False)


def _read_bytes(path: Path, offset: int, size: int) -> bytearray:
    if offset + size > path.stat().st_size:
        raise ConvertError(f"{path} is cut short; download it again")
    data = bytearray(size)
    with path.open("rb") as file:
        file.seek(offset)
        file.readinto(data)
    return data


def _contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))
