from __future__ import annotations

import pytest

from santa_lsp.completion import gate
from tests.support.cursor import at_cursor


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("retu║rn x", "inside a word"),
        ("a║_b", "inside a word"),
        ("f(║) + something_long(1)", "too much text follows"),
        ("║", "file is empty"),
        (" \n║\n", "file is empty"),
    ],
)
def test_an_automatic_request_is_refused_and_one_by_hand_is_not(text: str, reason: str) -> None:
    assert reason in gate.refusal(at_cursor(text))
    assert gate.refusal(at_cursor(text, trigger="invoked")) == ""


@pytest.mark.parametrize(
    "text",
    [
        "f(║)",
        "f('║');",
        "f(g([{║}]), [({})]);",
        "x║ )",
        "a = ║  # b",
        "x = ║\n",
        "a║ b",
        "║\nimport os\n",
    ],
)
def test_closing_punctuation_and_little_text_do_not_close_the_gate(text: str) -> None:
    assert gate.refusal(at_cursor(text)) == ""


def test_only_the_languages_that_are_wanted_are_completed_unasked() -> None:
    ruby = at_cursor("x = ║", language="ruby")
    assert "ruby" in gate.refusal(ruby, ["python", "java"])
    assert gate.refusal(ruby, ["python", "ruby"]) == ""
    assert gate.refusal(ruby, ["*"]) == gate.refusal(ruby, []) == ""
    assert gate.refusal(at_cursor("x = ║", language="ruby", trigger="invoked"), ["python"]) == ""


@pytest.mark.parametrize(
    "path", ["/home/a/.env", ".env", "secrets/key.py", "C:\\project\\.env", "C:\\a\\id_rsa.pub"]
)
@pytest.mark.parametrize("trigger", ["automatic", "invoked"])
def test_an_excluded_file_is_never_completed(path: str, trigger: str) -> None:
    context = at_cursor("a║", path=path, trigger=trigger)
    reason = gate.exclusion(context, (".env", "secrets/*", "id_rsa*"))
    assert "exclude" in reason


def test_a_name_that_only_resembles_an_excluded_one_is_completed() -> None:
    assert gate.exclusion(at_cursor("a║", path="/home/a/b.env.py"), (".env", "secrets/*")) == ""
