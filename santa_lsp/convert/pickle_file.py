"""Files of `torch.save`, read without torch and without running what the pickle says.

A pickle is a program: it names functions and calls them. Here every name but those of a tensor's
parts stands for a class that does nothing, so a hostile file can build nothing but dictionaries and
lists of such objects.
"""

from __future__ import annotations

import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from santa_lsp.convert.errors import ConvertError
from santa_lsp.convert.tensors import ITEM_SIZES, Tensor, strided

ZIP_MAGIC = b"PK\x03\x04"
_RECORD = "data.pkl"
#: Bytes before a zip member's data, its name and its extra field not counted.
_LOCAL_HEADER = 30

_STORAGE_TYPES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
}


class Inert(dict[Any, Any]):
    """What stands for an object of any other class: keeps items and attributes, does nothing."""

    def __init__(self, *arguments: object, **keywords: object) -> None:
        super().__init__()

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.__dict__.update((str(name), value) for name, value in state.items())

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)

    def append(self, item: object) -> None:
        """For lists and sets of unknown classes: what they hold is not ours to keep."""

    add = append


@dataclass(frozen=True, slots=True)
class _Storage:
    """The numbers that tensors are views of: `count` elements at a byte offset of the file."""

    offset: int
    dtype: str
    count: int

    def __setstate__(self, state: object) -> None:
        raise ConvertError("a pickle tried to alter a storage; do not trust this file")


def read_pickle(path: Path) -> Any:
    """What was saved, as dictionaries, lists, Tensors and Inert objects. Raises ConvertError."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename: info for info in archive.infolist()}
            (record,) = (name for name in members if name.endswith("/" + _RECORD))
            folder = record.removesuffix(_RECORD)
            if any(info.compress_type != zipfile.ZIP_STORED for info in members.values()):
                raise ConvertError(f"{path} is compressed, which torch.save never does")
            order = folder + "byteorder"
            if order in members and archive.read(order) != b"little":
                raise ConvertError(f"{path} is from a big-endian machine; save it on another")
            with archive.open(record) as pickled:
                return _TensorUnpickler(pickled, path, folder, members).load()
    except ConvertError:
        raise
    except Exception as error:  # a damaged or hostile pickle can make the unpickler raise anything
        raise ConvertError(f"{path} is no file of torch.save, or damaged ({error!r})") from error


class _TensorUnpickler(pickle.Unpickler):
    def __init__(
        self, pickled: Any, path: Path, folder: str, members: dict[str, zipfile.ZipInfo]
    ) -> None:
        super().__init__(pickled, encoding="latin1")
        self._path = path
        self._folder = folder
        self._members = members

    def find_class(self, module: str, name: str) -> Any:
        """Never imports anything."""
        if module == "torch._utils" and name == "_rebuild_tensor_v2":
            return self._rebuild_tensor
        if module == "torch._utils" and name == "_rebuild_parameter":
            return self._rebuild_parameter
        if module == "torch" and name.endswith("Storage"):
            return _STORAGE_TYPES.get(name, name)
        # A class for each name, so that what a pickle does to one ends with this file.
        return type("Inert", (Inert,), {})

    def persistent_load(self, pid: Any) -> _Storage:
        _, dtype, key, _, count = pid
        info = self._members[f"{self._folder}data/{key}"]
        if not isinstance(dtype, str) or not isinstance(count, int):
            raise ValueError(f"storage {key!r} is of an unknown kind")
        if dtype in ITEM_SIZES and count * ITEM_SIZES[dtype] > info.file_size:
            raise ValueError(f"storage {key!r} is shorter than it says")
        return _Storage(self._data_offset(info), dtype, count)

    def _data_offset(self, info: zipfile.ZipInfo) -> int:
        with self._path.open("rb") as file:
            file.seek(info.header_offset)
            header = file.read(_LOCAL_HEADER)
        name, extra = (int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
        return info.header_offset + _LOCAL_HEADER + name + extra

    def _rebuild_tensor(
        self, storage: Any, offset: Any, shape: Any, strides: Any, *_: object
    ) -> Tensor:
        """torch's view of a storage, checked: beyond its storage lies other memory."""
        numbers = (offset, *shape, *strides)
        if not isinstance(storage, _Storage) or not all(isinstance(n, int) for n in numbers):
            raise ValueError("a tensor is not made of a storage and whole numbers")
        last = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
        if min(numbers) < 0 or (0 not in shape and last >= storage.count):
            raise ValueError("a tensor reaches beyond its storage")
        start = storage.offset + offset * ITEM_SIZES.get(storage.dtype, 0)
        return strided(self._path, start, storage.dtype, tuple(shape), tuple(strides))

    def _rebuild_parameter(self, data: object, *_: object) -> object:
        return data
