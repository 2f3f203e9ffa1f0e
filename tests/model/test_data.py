from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from model import data
from model.data import DataError, PackConfig, Packer, TokenRows
from model.fim import FimConfig
from tests.model.conftest import documents


def test_every_text_is_in_the_rows_once(
    tokenizer_path: Path, small_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    config = PackConfig(256, FimConfig(fim_rate=0), 0, 1, validation_stride=10**9)
    data.pack(documents(), tokenizer_path, tmp_path, config, jobs=1)
    rows = np.concatenate([np.load(file) for file in sorted(tmp_path.glob("train-*.npy"))])
    assert rows.dtype == np.uint16
    assert rows.shape[1] == 257
    text = "".join(small_tokenizer.decode(row.tolist(), skip_special_tokens=True) for row in rows)
    for document in documents():
        for line in document.text.splitlines():
            assert line in text


def test_the_number_of_processes_changes_nothing(tokenizer_path: Path, tmp_path: Path) -> None:
    config = PackConfig(64, FimConfig(), 3, 2)
    for jobs in (1, 2):
        data.pack(documents(), tokenizer_path, tmp_path / str(jobs), config, jobs=jobs)
    for file in sorted((tmp_path / "1").iterdir()):
        assert file.read_bytes() == (tmp_path / "2" / file.name).read_bytes()


def test_epochs_are_cut_differently(tokenizer_path: Path, small_tokenizer: Tokenizer) -> None:
    config = PackConfig(64, FimConfig(fim_rate=1), 0, 2)
    examples = data.examples_of(documents()[0], small_tokenizer, config)
    half = len(examples) // 2
    assert examples[:half] != examples[half:]


def test_held_out_documents_are_not_trained_on(packed: Path) -> None:
    description = json.loads((packed / "data.json").read_text())
    held_out = [d for d in documents() if data.is_held_out(d, 8)]
    assert 0 < len(held_out) < len(documents()) / 2
    assert set(TokenRows(packed, 0).validation(4)) == {d.language for d in held_out}
    assert sum(description["tokens"].values()) > 0


def test_examples_are_whole_unless_longer_than_a_row() -> None:
    packer = Packer(9, pad=0)
    examples = [[n] * length for n, length in enumerate([7, 3, 5, 5, 12, 1, 9], start=1)]
    rows = [row for example in examples for row in packer.add(example)] + list(packer.flush())
    assert all(len(row) == 10 for row in rows)
    for number, length in enumerate([7, 3, 5, 5, 10, 1, 9], start=1):
        assert [row.count(number) for row in rows if number in row] == [length]


def test_pieces_end_at_line_ends_and_are_the_text(small_tokenizer: Tokenizer) -> None:
    text = "".join(d.text for d in documents()[:4])
    pieces = list(data.pieces(text, small_tokenizer, 200))
    assert "".join(piece for piece, _ in pieces) == text
    assert [last for _, last in pieces] == [False] * (len(pieces) - 1) + [True]
    assert all(piece.endswith("\n") for piece, _ in pieces)
    assert max(len(small_tokenizer.encode(piece).ids) for piece, _ in pieces) <= 202
    unbroken = list(data.pieces("x" * 999, small_tokenizer, 50))
    assert "".join(piece for piece, _ in unbroken) == "x" * 999


def test_row_order_depends_on_the_seed_and_covers_each_epoch(packed: Path) -> None:
    rows = TokenRows(packed, seed=5)
    first = rows.batch(0, len(rows))
    np.testing.assert_array_equal(first, TokenRows(packed, seed=5).batch(0, len(rows)))
    assert (first != TokenRows(packed, seed=6).batch(0, len(rows))).any()
    second = rows.batch(len(rows), len(rows))
    assert (first != second).any()
    np.testing.assert_array_equal(np.sort(first, axis=0), np.sort(second, axis=0))
    np.testing.assert_array_equal(rows.batch(3, 4), first[3:7])


def test_a_fraction_is_a_subset_of_a_larger_one() -> None:
    paths = [{d.path for d in data.fraction(documents(), share)} for share in (0.3, 0.6, 1.0)]
    assert paths[0] < paths[1] < paths[2]
    assert len(paths[2]) == len(documents())


def test_missing_data_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"python -m model\.data"):
        TokenRows(tmp_path, 0)
    (tmp_path / "data.json").write_text("{}")
    with pytest.raises(DataError, match="too small"):
        TokenRows(tmp_path, 0)
