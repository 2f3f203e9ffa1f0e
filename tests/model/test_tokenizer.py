from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from model import tokenizer
from santa_lsp.families.forms import find_form
from tests.model.conftest import documents


def test_special_tokens_are_santacoders(small_tokenizer: Tokenizer) -> None:
    form = find_form(small_tokenizer.token_to_id, {})
    assert form is not None
    assert form.name == "santacoder"
    assert small_tokenizer.token_to_id("<|endoftext|>") is not None
    assert small_tokenizer.get_vocab_size() == 600


def test_digits_are_split_one_by_one(small_tokenizer: Tokenizer) -> None:
    ids = small_tokenizer.encode("x = 1234567").ids
    pieces = [small_tokenizer.decode([i]) for i in ids]
    assert pieces[-7:] == list("1234567")


def test_indentation_is_few_tokens(small_tokenizer: Tokenizer) -> None:
    assert len(small_tokenizer.encode("\n        return").ids) <= 3


@given(text=st.text(max_size=60))
def test_any_text_survives(text: str) -> None:
    trained = _tokenizer()
    assert trained.decode(trained.encode(text).ids, skip_special_tokens=False) == text


_CACHE: list[Tokenizer] = []


def _tokenizer() -> Tokenizer:
    if not _CACHE:
        trained = tokenizer.train(["def f(x):\n    return x\n"] * 50, 300)
        trained.encode_special_tokens = True
        _CACHE.append(trained)
    return _CACHE[0]


def test_the_command_trains_on_a_folder_of_sources(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    output = tmp_path / "new" / "tokenizer.json"
    assert tokenizer.main([str(folder), str(output)]) == 1
    assert "no .py, .java, .js, .mjs, .cjs file" in capsys.readouterr().err
    for document in documents()[:9]:
        (folder / f"{len(document.text)}.py").write_text(document.text)
    assert tokenizer.main([str(folder), str(output), "--vocab-size", "300"]) == 0
    loaded = tokenizer.load(output)
    assert loaded.get_vocab_size() == 300
    assert find_form(loaded.token_to_id, {}) is not None
