from __future__ import annotations

import pytest

from santa_lsp.languages import (
    LANGUAGES,
    identifier,
    includes,
    known_languages,
    language,
    language_of,
    opens_block,
)

#: The languages that people write most, by LSP identifier.
MOST_USED = {
    *("python", "java", "javascript", "typescript", "javascriptreact", "typescriptreact"),
    *("go", "rust", "c", "cpp", "csharp", "php", "ruby", "swift", "kotlin", "scala", "dart"),
    *("lua", "shellscript", "powershell", "perl", "r", "sql", "html", "css", "json", "yaml"),
}


def test_the_languages_that_people_write_most_are_known() -> None:
    assert set(LANGUAGES) >= MOST_USED


@pytest.mark.parametrize("name", LANGUAGES)
def test_a_file_of_a_language_is_known_by_its_suffix(name: str) -> None:
    row = language(name)
    assert row.name == name
    assert row.suffixes
    for suffix in row.suffixes:
        assert language_of(f"src/main.test{suffix}") == name
        assert language_of(f"MAIN{suffix.upper()}") == name


@pytest.mark.parametrize("path", ["", "Makefile", "a.unknown", "a.py/b", "py"])
def test_a_file_of_no_known_suffix_is_plain_text(path: str) -> None:
    assert language_of(path) == "plaintext"


def test_an_unknown_language_has_defaults() -> None:
    row = language("cobol")
    assert row.name == "cobol"
    assert row.comment
    assert opens_block("cobol", "begin {")
    assert opens_block("cobol", "when x =>")
    assert not opens_block("cobol", "x = 1")


@pytest.mark.parametrize(
    ("name", "line", "opens"),
    [
        ("python", "if x:", True),
        ("python", "def f(", True),
        ("python", "if x:  ", True),
        ("python", "x = {}", False),
        ("go", "for {", True),
        ("go", "case 1:", False),
        ("typescript", "const f = () =>", True),
        ("java", "x ->", True),
        ("rust", "fn f() {", True),
        ("ruby", "loop do", True),
        ("ruby", "x = undo", False),  # a word opens a block only as a whole word
        ("ruby", "x = to_do", False),
        ("ruby", "do", True),
        ("shellscript", "if true; then", True),
        ("html", "<div>", True),
        ("", "", False),
    ],
)
def test_a_line_opens_a_block(name: str, line: str, opens: bool) -> None:
    assert opens_block(name, line) is opens


def test_a_models_card_names_languages_in_many_ways() -> None:
    assert known_languages(["Python", "C++", "c#", "golang", "js", "python"]) == (
        *("python", "cpp", "csharp", "go", "javascript"),
    )
    assert known_languages(["code", "more than 80"]) == known_languages([]) == ()


def test_a_language_includes_its_markup_and_a_star_all() -> None:
    assert includes(["javascript"], "javascriptreact")
    assert not includes(["javascript"], "typescript")
    assert includes(["*"], "cobol")
    assert includes([], "cobol")


@pytest.mark.parametrize(
    ("name", "lsp"), [("sh", "shellscript"), ("typescript.tsx", "typescriptreact"), ("go", "go")]
)
def test_an_editor_s_own_name_of_a_language_is_understood(name: str, lsp: str) -> None:
    assert identifier(name) == lsp
