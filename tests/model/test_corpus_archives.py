"""Archives are read into memory only, and hostile ones do no harm."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from model.corpus import CorpusError, archives
from model.corpus.archives import read_archive, safe_name


def anything(name: str) -> bool:
    return True


def names(path: Path, max_bytes: int = 1000) -> list[str]:
    return [name for name, _ in read_archive(path, anything, max_bytes)]


def write_tar(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def of_type(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


def test_tar_gives_regular_files_only(tmp_path: Path) -> None:
    path = write_tar(
        tmp_path / "a.tgz",
        [
            (tarfile.TarInfo("top/good.py"), b"good"),
            (tarfile.TarInfo("../escape.py"), b"bad"),
            (tarfile.TarInfo("/absolute.py"), b"bad"),
            (tarfile.TarInfo("top/../../escape.py"), b"bad"),
            of_type("top/link.py", tarfile.SYMTYPE, "/etc/passwd"),
            of_type("top/hard.py", tarfile.LNKTYPE, "top/good.py"),
            of_type("top/device.py", tarfile.CHRTYPE),
            of_type("top/pipe.py", tarfile.FIFOTYPE),
            of_type("top/folder.py", tarfile.DIRTYPE),
            (tarfile.TarInfo("top/large.py"), b"x" * 1001),
            (tarfile.TarInfo("top/last.py"), b"last"),
        ],
    )
    before = sorted(tmp_path.parent.rglob("*"))
    assert list(read_archive(path, anything, 1000)) == [
        ("top/good.py", b"good"),
        ("top/last.py", b"last"),
    ]
    assert sorted(tmp_path.parent.rglob("*")) == before


def test_zip_gives_regular_files_only(tmp_path: Path) -> None:
    path = tmp_path / "a.whl"
    link = zipfile.ZipInfo("link.py")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good.py", "good")
        archive.writestr("../escape.py", "bad")
        archive.writestr("/absolute.py", "bad")
        archive.writestr("folder/", "")
        archive.writestr(link, "/etc/passwd")
        archive.writestr("large.py", "x" * 1001)
    assert list(read_archive(path, anything, 1000)) == [("good.py", b"good")]


def test_unwanted_members_are_passed_over(tmp_path: Path) -> None:
    path = write_tar(
        tmp_path / "a.tgz",
        [(tarfile.TarInfo("a.py"), b"a"), (tarfile.TarInfo("a.so"), b"b")],
    )
    assert [name for name, _ in read_archive(path, lambda n: n.endswith(".py"), 9)] == ["a.py"]


def write_bomb_zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(5):
            archive.writestr(f"{i}.py", "x" * 900)
    return path


def write_bomb_tar(path: Path) -> Path:
    return write_tar(path, [(tarfile.TarInfo(f"{i}.py"), b"x" * 900) for i in range(5)])


@pytest.mark.parametrize("write", [write_bomb_zip, write_bomb_tar])
def test_a_bomb_is_refused(
    write: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "bomb")
    assert len(names(path)) == 5
    monkeypatch.setattr(archives, "MAX_ARCHIVE_BYTES", 4000)
    with pytest.raises(CorpusError, match="unpacks to over 4000 bytes"):
        names(path)


@pytest.mark.parametrize("content", [b"", b"not an archive", b"\x1f\x8b\x08 damaged gzip"])
def test_a_damaged_archive_is_an_error_that_says_what_to_do(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.tgz"
    path.write_bytes(content)
    with pytest.raises(CorpusError, match="delete it and build again"):
        names(path)


@pytest.mark.parametrize("write", [write_bomb_zip, write_bomb_tar])
def test_a_truncated_archive_is_an_error(write: Callable[[Path], Path], tmp_path: Path) -> None:
    path = write(tmp_path / "a")
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(CorpusError, match="damaged"):
        names(path)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a/b.py", "a/b.py"),
        ("./a//b.py", "a/b.py"),
        ("../b.py", None),
        ("a/../../b.py", None),
        ("/b.py", None),
        ("..\\b.py", None),
        ("C:\\b.py", None),
        ("a\0.py", None),
        ("", None),
    ],
)
def test_safe_name(name: str, safe: str | None) -> None:
    assert safe_name(name) == safe
