"""Folders that are replaced completely or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from santa_lsp.models.files import replaced_folder, restore_folder


def write(path: Path, text: str, error: BaseException | None = None) -> None:
    with replaced_folder(path) as new:
        (new / "text").write_text(text)
        if error is not None:
            raise error


def test_a_folder_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    folder = tmp_path / "above" / "folder"
    for text in ("first", "second"):
        write(folder, text)
        assert (folder / "text").read_text() == text
    assert list(folder.parent.iterdir()) == [folder]


def test_a_failure_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    write(folder, "first")
    with pytest.raises(KeyboardInterrupt):
        write(folder, "second", KeyboardInterrupt())
    assert (folder / "text").read_text() == "first"
    assert list(tmp_path.iterdir()) == [folder]


def test_what_a_kill_left_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "folder"
    write(folder, "first")
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
            write(folder, "second")
    (tmp_path / ".folder.new").mkdir()
    assert not folder.exists()
    restore_folder(folder)
    assert (folder / "text").read_text() == "first"
    write(folder, "third")
    assert (folder / "text").read_text() == "third"
    assert list(tmp_path.iterdir()) == [folder]
