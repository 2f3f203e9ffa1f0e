from __future__ import annotations

import dataclasses
import errno
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, models, processors

from model import data, packing
from model.corpus import Document
from model.fim import FimConfig
from model.packing import PackConfig, Packer
from model.rows import DataError, TokenRows
from model.tokenizer import load, special_ids
from santa_lsp.families.forms import FIM_PREFIX
from tests.model.conftest import documents


def examples_of(
    document: Document, tokenizer: Tokenizer, config: PackConfig, epoch: int = 0
) -> list[list[int]]:
    special = special_ids(tokenizer, config.metadata)
    return packing.examples_of(document, tokenizer, special, config, epoch)


def test_every_text_is_in_the_rows_once(
    tokenizer_path: Path, small_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    config = PackConfig(256, FimConfig(fim_rate=0), 0, 1, validation_stride=10**9)
    data.pack(documents(), tokenizer_path, tmp_path, config, jobs=1)
    packed = TokenRows(tmp_path, 0)
    rows = packed.batch(0, len(packed))
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
    first, second = (
        examples_of(documents()[0], small_tokenizer, config, epoch) for epoch in (0, 1)
    )
    assert first != second


def test_held_out_documents_are_not_trained_on(packed: Path) -> None:
    description = json.loads((packed / "data.json").read_text())
    held_out = [d for d in documents() if data.is_held_out(d, 8)]
    assert 0 < len(held_out) < len(documents()) / 2
    assert set(TokenRows(packed, 0).validation(4)) == {d.language for d in held_out}
    assert sum(description["tokens"].values()) > 0
    assert sum(description["held_out_documents"].values()) == len(held_out)
    assert sum(description["documents"].values()) == len(documents()) - len(held_out)


def repeated(config: PackConfig) -> dict[str, int]:
    return {d.path: data.repetitions(d, config) for d in documents()}


def test_epochs_and_weights_say_how_often_a_document_is_seen() -> None:
    some, more = (repeated(PackConfig(64, FimConfig(), 0, epochs)) for epochs in (0.3, 0.6))
    n_some, n_more = sum(some.values()), sum(more.values())
    assert 0.15 * len(some) < n_some < n_more < 0.75 * len(some)
    assert all(more[path] for path in some if some[path])
    assert set(repeated(PackConfig(64, FimConfig(), 0, 2)).values()) == {2}
    weights = {"java": 1.5, "train": 2}
    for document in documents():
        count = data.repetitions(document, PackConfig(64, FimConfig(), 0, 2, weights=weights))
        assert count == (3 if document.language == "java" else 2) * (
            2 if document.package == "train" else 1
        )
    plain = dataclasses.replace(documents()[0], text="x = 1\n" * 9, language="python", path="a.py")
    documented = dataclasses.replace(plain, text=plain.text + "# It counts.\n")
    config = PackConfig(64, FimConfig(), 0, 2, weights={"documented": 3})
    assert [data.repetitions(each, config) for each in (plain, documented)] == [2, 6]


def test_a_language_with_twice_the_weight_gives_twice_the_tokens(
    tokenizer_path: Path, tmp_path: Path
) -> None:
    def tokens(weights: dict[str, float]) -> dict[str, int]:
        config = PackConfig(64, FimConfig(fim_rate=0), 0, 1, weights=weights)
        out = tmp_path / "out"
        return data.pack(documents()[:20], tokenizer_path, out, config, jobs=1)["tokens"]

    plain, weighted = tokens({}), tokens({"python": 2, "java": 0})
    assert weighted == {"python": 2 * plain["python"]}


def test_examples_can_be_told_apart(packed: Path, small_tokenizer: Tokenizer) -> None:
    """As the module says: end-of-text ends every example but the last of a row; padding follows."""
    special = special_ids(small_tokenizer, {})
    form, end_of_text = special.form, special.end_of_text
    fim_prefix = form.marks[FIM_PREFIX].id
    rows = TokenRows(packed, 0)
    starts = whole = 0
    for row in rows.batch(0, len(rows)).tolist():
        text = row[: row.index(form.pad)] if form.pad in row else row
        assert set(row[len(text) :]) <= {form.pad}
        for example in "".join(map(chr, text)).split(chr(end_of_text)):
            assert example.count(chr(fim_prefix)) <= 1
            assert chr(fim_prefix) not in example[1:]
            starts += example.startswith(chr(fim_prefix))
        whole += text[-1] == end_of_text
    assert starts > 0.8 * len(rows)  # at a FIM rate of 0.9
    assert whole < len(rows)  # some rows do end with a piece that was left as it is


QWEN = ("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>")


@pytest.fixture
def large_tokenizer(small_tokenizer: Tokenizer, tmp_path: Path) -> Path:
    """With more than 65,536 tokens and, not marked as special, Qwen's last."""
    values = json.loads(small_tokenizer.to_str())
    vocabulary = values["model"]["vocab"]
    values["model"]["vocab"] |= {f"unused {i}": i for i in range(len(vocabulary), 66_000)}
    tokenizer = Tokenizer.from_str(json.dumps(values))
    tokenizer.add_tokens([AddedToken(each, special=False, normalized=False) for each in QWEN])
    tokenizer.save(str(tmp_path / "large.json"))
    return tmp_path / "large.json"


def test_ids_above_65535_are_held(large_tokenizer: Path, tmp_path: Path) -> None:
    config = PackConfig(64, FimConfig(fim_rate=1, spm_rate=0), 0, 1, validation_stride=4)
    data.pack(documents()[:9], large_tokenizer, tmp_path / "data", config, jobs=1)
    packed = TokenRows(tmp_path / "data", 0)
    rows = packed.batch(0, len(packed))
    assert rows.dtype == np.uint32
    assert all(each.dtype == np.uint32 for each in packed.validation(4).values())
    tokenizer = load(large_tokenizer)
    prefix = tokenizer.token_to_id("<|fim_prefix|>")
    assert prefix > 2**16
    assert (rows[:, 0] == prefix).all()


def test_tokens_that_are_not_marked_as_special_do_not_come_from_text(large_tokenizer: Path) -> None:
    tokenizer = load(large_tokenizer)
    text = "".join(QWEN) + "\n"
    document = dataclasses.replace(documents()[0], text=text)
    config = PackConfig(200, FimConfig(fim_rate=0), 0, 1)
    (example,) = examples_of(document, tokenizer, config)
    assert tokenizer.decode(example[:-1], skip_special_tokens=False) == text
    assert max(example) < 2**16


def test_examples_are_written_as_the_model_was_taught(small_tokenizer: Tokenizer) -> None:
    """In the order of its card, and after the token that its prompts start with."""
    tokens = {"fim_prefix": "<fim-prefix>", "fim_suffix": "<fim-suffix>"}
    order = ["fim_suffix", "suffix", "fim_prefix", "prefix"]
    metadata = {
        "prompt_format": {"form": "other", "order": order, "tokens": tokens},
        "end_tokens": ["<fim-pad>"],
        "bos_token": "<fim-middle>",
    }
    config = PackConfig(64, FimConfig(fim_rate=1), 0, 1, metadata=metadata)
    start, suffix, prefix = map(
        small_tokenizer.token_to_id, ("<fim-middle>", "<fim-suffix>", "<fim-prefix>")
    )
    for example in examples_of(documents()[0], small_tokenizer, config):
        assert example[:2] == [start, suffix]
        assert example.count(prefix) == 1
        assert len(example) <= 65


def test_examples_are_whole_unless_longer_than_a_row() -> None:
    packer = Packer(9, pad=0, end_of_text=99)
    examples = [[n] * length for n, length in enumerate([7, 3, 5, 5, 12, 1, 9], start=1)]
    rows = [row for example in examples for row in packer.add(example)] + list(packer.flush())
    assert all(len(row) == 10 for row in rows)
    for number, length in enumerate([7, 3, 5, 5, 10, 1, 9], start=1):
        assert [row.count(number) for row in rows if number in row] == [length]


def test_pieces_end_at_line_ends_and_are_the_text(small_tokenizer: Tokenizer) -> None:
    text = "".join(d.text for d in documents()[:4])
    pieces = list(packing.pieces(text, small_tokenizer, lambda: 200))
    assert "".join(piece for piece, _ in pieces) == text
    assert [last for _, last in pieces] == [False] * (len(pieces) - 1) + [True]
    assert all(piece.endswith("\n") for piece, _ in pieces)
    assert max(len(small_tokenizer.encode(piece).ids) for piece, _ in pieces) <= 202
    trimmed = Tokenizer.from_str(small_tokenizer.to_str())
    trimmed.post_processor = processors.ByteLevel(trim_offsets=True)  # as SantaCoder's own
    text = text.replace("\n", "\n\n    \n")
    assert "".join(piece for piece, _ in packing.pieces(text, trimmed, lambda: 200)) == text
    unbroken = list(packing.pieces("x" * 999, small_tokenizer, lambda: 50))
    assert "".join(piece for piece, _ in unbroken) == "x" * 999


def test_short_pieces_give_more_examples_of_the_same_text(small_tokenizer: Tokenizer) -> None:
    long = PackConfig(128, FimConfig(fim_rate=0), 0, 1)
    short = dataclasses.replace(long, shortest_piece=16)
    document = max(documents(), key=lambda each: each.n_bytes)
    examples = {
        config.shortest_piece: examples_of(document, small_tokenizer, config)
        for config in (long, short)
    }
    assert len(examples[16]) > 1.5 * len(examples[0])
    for found in examples.values():
        assert small_tokenizer.decode([i for ids in found for i in ids]) == document.text
        assert max(map(len, found)) <= 129
    with pytest.raises(ValueError, match="shortest_piece"):
        PackConfig(128, FimConfig(), 0, 1, shortest_piece=128)


def test_rows_have_room_for_the_path_comment(small_tokenizer: Tokenizer) -> None:
    config = PackConfig(64, FimConfig(fim_rate=0, path_comment=True), 0, 1)
    for document in documents()[:5]:
        examples = examples_of(document, small_tokenizer, config)
        assert all(len(ids) <= 65 for ids in examples)
        texts = [small_tokenizer.decode(ids) for ids in examples]
        assert all(text.startswith(("# python", "// java")) for text in texts)
        assert "".join(text.partition("\n")[2] for text in texts) == document.text


@pytest.fixture
def sharded(
    tokenizer_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, dict[str, Any]]:
    """Packed data of many small files, and what `pack` says of them."""
    monkeypatch.setattr(data, "SHARD_TOKENS", 65 * 40)
    config = PackConfig(64, FimConfig(), 0, 1)
    return tmp_path / "data", data.pack(documents(), tokenizer_path, tmp_path / "data", config, 1)


def test_row_order_depends_on_the_seed_and_covers_each_epoch(
    sharded: tuple[Path, dict[str, Any]],
) -> None:
    packed, _ = sharded
    rows = TokenRows(packed, seed=5)
    first = rows.batch(0, len(rows))
    np.testing.assert_array_equal(first, TokenRows(packed, seed=5).batch(0, len(rows)))
    assert (first != TokenRows(packed, seed=6).batch(0, len(rows))).any()
    second = rows.batch(len(rows), len(rows))
    assert (first != second).any()
    np.testing.assert_array_equal(np.sort(first, axis=0), np.sort(second, axis=0))
    # Any part of the stream is the same, however it is come by: a resumed run starts anywhere.
    for start in (3, 38, 79, len(rows) - 2):
        part = TokenRows(packed, seed=5).batch(start, 4)
        np.testing.assert_array_equal(part, rows.batch(start, 4))
    np.testing.assert_array_equal(rows.batch(38, 4), first[38:42])


def test_any_subset_of_the_files_is_usable(sharded: tuple[Path, dict[str, Any]]) -> None:
    packed, description = sharded
    files = description["files"]
    trained = [name for name in files if name.startswith("train-")]
    assert len(trained) > 2
    assert [files[name]["rows"] for name in trained[:-1]] == [40] * (len(trained) - 1)
    for name, file in files.items():
        assert (packed / name).stat().st_size == file["bytes"]
    (packed / trained[1]).unlink()
    rows = TokenRows(packed, seed=0)
    assert len(rows) == sum(files[name]["rows"] for name in trained) - 40
    assert rows.batch(len(rows) - 2, 4).shape == (4, 65)


def test_a_file_that_was_cut_off_is_an_error(sharded: tuple[Path, dict[str, Any]]) -> None:
    packed, _ = sharded
    file = packed / "train-00001.npy.zst"
    file.write_bytes(file.read_bytes()[:-9])
    rows = TokenRows(packed, seed=0)
    with pytest.raises(DataError, match=r"train-00001\.npy\.zst is damaged"):
        rows.batch(0, len(rows))


def test_older_data_are_replaced_whole(packed: Path, tokenizer_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "data"
    shutil.copytree(packed, out)
    (out / "train-00009.npy.zst").write_bytes(b"of a larger corpus")
    config = PackConfig(64, FimConfig(), 0, 1)
    description = data.pack(documents()[:9], tokenizer_path, out, config, jobs=1)
    assert {file.name for file in out.iterdir()} == {
        "data.json", "tokenizer.json", *description["files"]
    }  # fmt: skip


def sources(folder: Path) -> Path:
    folder.mkdir()
    for number, document in enumerate(documents()[:20]):
        (folder / f"part_{number}.py").write_text(document.text)
    return folder


def test_the_command_packs_a_folder_of_sources(
    tokenizer_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(sources(tmp_path / "mine")), str(tmp_path / "out"), "--jobs", "1"]
    arguments += ["--tokenizer", str(tokenizer_path), "--n-positions", "64"]
    assert data.main([*arguments, "--epochs", "1.5", "--weight", "python=2"]) == 0
    assert json.loads(capsys.readouterr().out)["pack"]["weights"] == {"python": 2}
    assert len(TokenRows(tmp_path / "out", 0)) > 0


def test_the_command_says_what_is_wrong(
    tokenizer_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    mine, out = sources(tmp_path / "mine"), tmp_path / "out"
    plain = tmp_path / "plain.json"
    Tokenizer(models.BPE()).save(str(plain))
    (tmp_path / "empty").mkdir()

    def error(*arguments: str | Path, corpus: Path = mine, tokenizer: Path = tokenizer_path) -> str:
        command = [str(corpus), str(out), "--tokenizer", str(tokenizer), "--jobs", "1"]
        assert data.main([*command, *map(str, arguments)]) == 1
        captured = capsys.readouterr().err.strip()
        assert not out.exists()
        return captured.splitlines()[-1]

    assert "no .py, .java, .js, .mjs, .cjs file" in error(corpus=tmp_path / "empty")
    assert "does not exist" in error(corpus=tmp_path / "nowhere")
    assert "no fill-in-the-middle tokens" in error(tokenizer=plain)
    assert "cannot be read" in error(tokenizer=tmp_path / "nowhere.json")
    assert "fim_rate must be between 0 and 1" in error("--fim-rate", "2")
    assert "n_positions must be over" in error("--n-positions", "3")
    assert "epochs must be over 0" in error("--epochs", "0")
    assert "too small" in error("--weight", "python=0")

    def full_disk(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full_disk)
        message = error()
        assert "No space left on device" in message
        assert "left as it was" in message
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    command = [str(mine), str(out), "--tokenizer", str(tokenizer_path), "--jobs", "1"]
    assert data.main(command) == 1
    assert "something other than packed data" in capsys.readouterr().err
    assert (out / "thesis.txt").read_text() == "years of work"


def test_documents_that_can_be_read_only_once_give_one_epoch(
    tokenizer_path: Path, tmp_path: Path
) -> None:
    once, twice = (PackConfig(64, FimConfig(), 0, epochs) for epochs in (1, 2))
    data.pack(iter(documents()[:9]), tokenizer_path, tmp_path / "a", once, jobs=1)
    with pytest.raises(DataError, match="only once"):
        data.pack(iter(documents()[:9]), tokenizer_path, tmp_path / "b", twice, jobs=1)


def test_missing_data_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"python -m model\.data"):
        TokenRows(tmp_path, 0)
    (tmp_path / "data.json").write_text('{"files": {}}')
    with pytest.raises(DataError, match="too small"):
        TokenRows(tmp_path, 0)
