from __future__ import annotations

import random

import pytest

from model.cuts import cut_nodes
from model.languages import LANGUAGES, SUFFIXES, language_of


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("a.py", "python"),
        ("src/A.JAVA", "java"),
        ("lib/index.mjs", "javascript"),
        ("a.pyi", None),  # a stub has no code to learn from
        ("a.ts", None),
        ("py", None),
    ],
)
def test_a_source_file_is_known_by_its_suffix(path: str, language: str | None) -> None:
    assert language_of(path) == language


def test_every_language_has_files_and_a_grammar() -> None:
    assert {language_of(f"a{suffix}") for suffix in SUFFIXES} == set(LANGUAGES)
    for language in LANGUAGES:
        assert "".join(cut_nodes("f(a, b);", language, random.Random(0))) == "f(a, b);"
