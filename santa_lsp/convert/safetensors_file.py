"""Files in the safetensors format: eight bytes of header length, a JSON header, the data."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path

from santa_lsp.convert.errors import ConvertError
from santa_lsp.convert.tensors import ITEM_SIZES, Tensor, stored

_DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
#: The format's own limit.
_LONGEST_HEADER = 100_000_000


def is_safetensors(start: bytes) -> bool:
    """Whether a file that begins like this (nine bytes) is one."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= _LONGEST_HEADER


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Tensors by name; their data stay in the file. Raises ConvertError."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(length)
    try:
        entries = json.loads(header)
        entries.pop("__metadata__", None)
        return {name: _tensor(path, 8 + length, entry) for name, entry in entries.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConvertError(f"{path} is damaged ({error!r}); download it again") from error


def _tensor(path: Path, data: int, entry: dict[str, object]) -> Tensor:
    shape = tuple(int(size) for size in entry["shape"])  # type: ignore[attr-defined]
    start, end = (int(offset) for offset in entry["data_offsets"])  # type: ignore[attr-defined]
    dtype = _DTYPES.get(str(entry["dtype"]), str(entry["dtype"]))
    if start < 0 or min(shape, default=0) < 0:
        raise ValueError("negative sizes")
    if dtype in ITEM_SIZES and end - start != prod(shape) * ITEM_SIZES[dtype]:
        raise ValueError(f"shape {list(shape)} of {dtype} is not {end - start} bytes")
    return stored(path, data + start, dtype, shape)
