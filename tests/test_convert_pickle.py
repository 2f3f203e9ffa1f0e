"""What torch.save wrote is read without torch; a pickle that wants to run code cannot."""

from __future__ import annotations

import os
import pickle
import pickletools
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from santa_lsp.convert import ConvertError
from santa_lsp.convert.pickle_file import Inert, read_pickle
from santa_lsp.convert.tensors import Tensor


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: object) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.reduced


class Global:
    """Pickles as a name that need not exist."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class Persistent:
    def __init__(self, *pid: object) -> None:
        self.pid = pid


class Writer(pickle._Pickler):
    """A pickler that can write what no honest program writes."""

    def persistent_id(self, obj: object) -> object:
        return obj.pid if isinstance(obj, Persistent) else None

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, Global):
            self.write(b"c" + f"{obj.module}\n{obj.name}\n".encode())
        else:
            super().save(obj, save_persistent_id)


class CallGlobal(Global):
    """Pickles as a call of a name, with a state for the result when there is one."""

    def __init__(self, module: str, name: str, *arguments: object, state: object = None) -> None:
        super().__init__(module, name)
        self.arguments, self.state = arguments, state


class CallWriter(Writer):
    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        super().save(obj, save_persistent_id)
        if isinstance(obj, CallGlobal):
            super().save(obj.arguments)
            self.write(pickle.REDUCE)
            if obj.state is not None:
                super().save(obj.state)
                self.write(pickle.BUILD)


FLOATS = Global("torch", "FloatStorage")


def tensor(
    count: int = 6,
    offset: object = 0,
    shape: object = (2, 3),
    strides: object = (3, 1),
    state: object = None,
) -> CallGlobal:
    storage = Persistent("storage", FLOATS, "0", "cpu", count)
    return CallGlobal(
        "torch._utils",
        "_rebuild_tensor_v2",
        storage,
        offset,
        shape,
        strides,
        False,
        {},
        state=state,
    )


def write(path: Path, obj: object, data: bytes = np.arange(6, dtype="<f4").tobytes()) -> Path:
    """A file as torch.save writes it."""
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("archive/data.pkl", "w") as file:
            CallWriter(file, protocol=2).dump(obj)
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/data/0", data)
    return path


def test_views_are_read_as_torch_reads_them(tmp_path: Path) -> None:
    import torch

    base = torch.arange(24, dtype=torch.float32).view(4, 6)
    saved = {
        "whole": base,
        "transposed": base.t(),
        "row": base[2],
        "steps": base[1:, ::2],
        "half": base.to(torch.float16),
        "brain": base.to(torch.bfloat16) / 3,
        "empty": base[:0],
        "number": torch.tensor(2.5),
        "parameter": torch.nn.Parameter(base[:1].clone()),
    }
    torch.save(saved, tmp_path / "file")
    found = read_pickle(tmp_path / "file")
    assert found.keys() == saved.keys()
    for name, each in saved.items():
        assert found[name].shape == tuple(each.shape)
        np.testing.assert_array_equal(found[name].read(), each.detach().float().numpy())


def test_reading_gives_a_fresh_array_each_time(tmp_path: Path) -> None:
    found: Tensor = read_pickle(write(tmp_path / "file", tensor()))
    found.read()[:] = 99
    np.testing.assert_array_equal(found.read(), np.arange(6).reshape(2, 3))


def test_unknown_classes_become_inert(tmp_path: Path) -> None:
    namespace = CallGlobal("megatron.arguments", "Namespace", state={"num_layers": 24})
    found = read_pickle(write(tmp_path / "file", {"args": namespace, "set": {1}, "w": tensor()}))
    assert isinstance(found["args"], Inert)
    assert vars(found["args"]) == {"num_layers": 24}


@pytest.mark.parametrize(
    "call",
    [
        lambda mark: Call(os.system, f"touch {mark}"),
        lambda mark: Call(exec, f"open({str(mark)!r}, 'w')"),
        lambda mark: Call(eval, f"open({str(mark)!r}, 'w')"),
        lambda mark: Call(open, str(mark), "w"),
        lambda mark: Call(getattr, Global("os", "system"), "__call__"),
        lambda mark: CallGlobal("builtins", "getattr", Global("os", "path"), "sep"),
        lambda mark: CallGlobal("torch._utils", "os.system", f"touch {mark}"),
        lambda mark: CallGlobal("torch._utils", "_rebuild_tensor_v2.__globals__"),
        lambda mark: CallGlobal("functools", "partial", Global("os", "system"), f"touch {mark}"),
        lambda mark: CallGlobal("torch", "load", str(mark)),
        lambda mark: CallGlobal(
            "santa_lsp.models", "home", state={"__class__": Global("os", "system")}
        ),
    ],
)
def test_a_hostile_pickle_runs_nothing(tmp_path: Path, call: Callable[[Path], object]) -> None:
    mark = tmp_path / "mark"
    file = write(tmp_path / "file", {"w": tensor(), "x": call(mark)})
    found = read_pickle(file)
    assert isinstance(found["x"], Inert)
    assert not mark.exists()
    assert found["w"].read().shape == (2, 3)


def test_the_hostile_files_would_run_code_elsewhere(tmp_path: Path) -> None:
    """Else the test above proves nothing."""
    mark = tmp_path / "mark"
    pickle.loads(pickle.dumps(Call(os.system, f"touch {mark}")))
    assert mark.exists()


@pytest.mark.parametrize(
    ("obj", "words"),
    [
        (tensor(offset=1), "beyond its storage"),
        (tensor(shape=(3, 3)), "beyond its storage"),
        (tensor(strides=(1000000, 1)), "beyond its storage"),
        (tensor(strides=(-3, 1)), "beyond its storage"),
        (tensor(offset=-1), "beyond its storage"),
        (tensor(shape=("2", 3)), "whole numbers"),
        (tensor(shape=(2, 3, 4)), "shorter"),
        (tensor(count=7), "shorter than it says"),
        (Persistent("storage", FLOATS, "../../0", "cpu", 6), "KeyError"),
        (Persistent("storage", FLOATS, "0", "cpu", "6"), "unknown kind"),
        (Persistent("storage", Global("os", "system"), "0", "cpu", 6), "unknown kind"),
        (Persistent("storage"), "not enough values"),
        (tensor(state={"read": Global("os", "system")}), "tried to alter a tensor"),
        (tensor(state=(None, {"shape": (1,)})), "tried to alter a tensor"),
        (CallGlobal("torch", "FloatStorage", 1), "not callable"),
    ],
)
def test_a_file_that_reaches_out_of_itself_is_refused(
    tmp_path: Path, obj: object, words: str
) -> None:
    with pytest.raises(ConvertError, match=words):
        read_pickle(write(tmp_path / "file", {"x": obj}))


def test_a_storage_cannot_be_moved(tmp_path: Path) -> None:
    class Moved(Persistent):
        pass

    class MovingWriter(CallWriter):
        def save(self, obj: Any, save_persistent_id: bool = True) -> None:
            super().save(obj, save_persistent_id)
            if isinstance(obj, Moved):
                super().save({"offset": 0})
                self.write(pickle.BUILD)

    with zipfile.ZipFile(tmp_path / "file", "w") as archive:
        with archive.open("archive/data.pkl", "w") as file:
            MovingWriter(file, protocol=2).dump(Moved("storage", FLOATS, "0", "cpu", 6))
        archive.writestr("archive/data/0", bytes(24))
    with pytest.raises(ConvertError, match="tried to alter a storage"):
        read_pickle(tmp_path / "file")


@pytest.mark.parametrize("length", [0, 10, 60, 200])
def test_a_damaged_file_is_refused(tmp_path: Path, length: int) -> None:
    file = write(tmp_path / "file", {"w": tensor()})
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(ConvertError, match=r"no file of torch\.save, or damaged"):
        read_pickle(file)


def test_no_opcode_ends_in_another_error(tmp_path: Path) -> None:
    """Every single opcode, with nothing or an object before it."""
    for opcode in pickletools.opcodes:
        for before in (b"", b"}", b"(", b"}(", b"ctorch._utils\n_rebuild_tensor_v2\n)"):
            with zipfile.ZipFile(tmp_path / "file", "w") as archive:
                archive.writestr("a/data.pkl", before + opcode.code.encode("latin1") + b"0\n.")
            try:
                read_pickle(tmp_path / "file")
            except ConvertError:
                continue


def test_compressed_and_big_endian_files_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "file", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", pickle.dumps({}))
    with pytest.raises(ConvertError, match="compressed"):
        read_pickle(tmp_path / "file")
    with zipfile.ZipFile(tmp_path / "file", "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps({}))
        archive.writestr("a/byteorder", "big")
    with pytest.raises(ConvertError, match="big-endian"):
        read_pickle(tmp_path / "file")
