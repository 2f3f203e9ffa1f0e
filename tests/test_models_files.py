"""Files and folders that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from santa_lsp.models.files import (
    remove_folder,
    replaced_folder,
    restore_folder,
    whole_file,
    whole_folder,
    write_whole,
)

posix = pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")


def test_a_file_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    file = tmp_path / "above" / "file.json"
    for text in ("first", "second é"):
        write_whole(file, text)
        assert file.read_text(encoding="utf-8") == text
    write_whole(file, b"\0")
    assert file.read_bytes() == b"\0"
    assert list(file.parent.iterdir()) == [file]


def fail_half_way(make: Callable[[Path], AbstractContextManager[Path]], path: Path) -> None:
    """Begin something whole, and be interrupted."""
    with make(path) as new:
        (new / "text" if new.is_dir() else new).write_text("half")
        raise KeyboardInterrupt


def test_a_file_stays_as_it_was_when_its_successor_is_not_finished(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_whole(file, "first")
    with pytest.raises(KeyboardInterrupt):
        fail_half_way(whole_file, file)
    assert file.read_text() == "first"
    assert list(tmp_path.iterdir()) == [file]


def test_nobody_sees_a_file_before_it_is_finished(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_whole(file, "first")
    with whole_file(file) as new:
        new.write_text("second")
        assert file.read_text() == "first"
    assert file.read_text() == "second"


def test_a_file_that_cannot_be_written_is_an_error_and_leaves_no_litter(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):  # a folder is in its place
        write_whole(tmp_path / "folder", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_folder_is_there_once_it_is_finished(tmp_path: Path) -> None:
    folder = tmp_path / "above" / "folder"
    with whole_folder(folder) as new:
        (new / "text").write_text("whole")
        assert not folder.exists()
    assert (folder / "text").read_text() == "whole"
    assert list(folder.parent.iterdir()) == [folder]


def test_a_folder_that_is_not_finished_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fail_half_way(whole_folder, tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_does_not_take_the_place_of_another(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "text").write_text("mine")
    with pytest.raises(OSError, match="folder"), whole_folder(folder):
        pass
    assert (folder / "text").read_text() == "mine"
    assert list(tmp_path.iterdir()) == [folder]


def test_a_removed_folder_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "below").mkdir(parents=True)
    remove_folder(folder)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(params=[0o022, 0o077, 0o002])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@posix
def test_permissions_are_those_that_the_user_s_umask_gives(tmp_path: Path, umask: int) -> None:
    write_whole(tmp_path / "file", "text")
    with whole_folder(tmp_path / "folder"):
        pass
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("file", "folder")]
    assert modes == [0o666 & ~umask, 0o777 & ~umask]


def replace(path: Path, text: str, error: BaseException | None = None) -> None:
    with replaced_folder(path) as new:
        (new / "text").write_text(text)
        if error is not None:
            raise error


def test_a_replaced_folder_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    folder = tmp_path / "above" / "folder"
    for text in ("first", "second"):
        replace(folder, text)
        assert (folder / "text").read_text() == text
    assert list(folder.parent.iterdir()) == [folder]


def test_a_failure_leaves_the_replaced_folder_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    replace(folder, "first")
    with pytest.raises(KeyboardInterrupt):
        replace(folder, "second", KeyboardInterrupt())
    assert (folder / "text").read_text() == "first"
    assert list(tmp_path.iterdir()) == [folder]


def test_what_a_kill_left_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "folder"
    replace(folder, "first")
    rename = Path.rename

    class Killed(BaseException):
        pass

    def killed_between_the_renames(path: Path, target: Path) -> Path:
        if path.name.endswith(".new"):
            raise Killed
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed_between_the_renames)
        patch.setattr("santa_lsp.models.files.restore_folder", lambda path: None)
        with pytest.raises(Killed):
            replace(folder, "second")
    (tmp_path / ".folder.new").mkdir()
    assert not folder.exists()
    restore_folder(folder)
    assert (folder / "text").read_text() == "first"
    replace(folder, "third")
    assert (folder / "text").read_text() == "third"
    assert list(tmp_path.iterdir()) == [folder]
