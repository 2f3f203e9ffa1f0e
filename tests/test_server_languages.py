"""Which languages are completed follows the served model: no setting has to be touched."""

from __future__ import annotations

from typing import Any

import pytest

from santa_lsp.languages import known_languages
from santa_lsp.models.catalogue import CATALOGUE
from santa_lsp.server.handlers import build_server
from santa_lsp.settings import Settings
from tests.support.editor import Editor, until
from tests.support.scripted_engine import ScriptedEngine

URI = "file:///work.x"


async def completed(known: tuple[str, ...], language_id: str, **options: Any) -> str | None:
    """The text for a file of that language from a model that knows these; None for nothing."""
    engine = ScriptedEngine("value")
    engine.languages = known_languages(known)
    server = build_server(Settings(debounce_ms=0), load_engine=lambda settings: engine)
    capabilities = {
        "textDocument": {"inlineCompletion": {}},
        "experimental": {"santa": {"status": True}},
    }
    editor = await Editor.start(server, capabilities=capabilities, initializationOptions=options)
    await until(lambda: [s for s in editor.told("santa/status") if s["state"] == "ready"])
    item = {"uri": URI, "languageId": language_id, "version": 1, "text": "x = "}
    editor.notify("textDocument/didOpen", {"textDocument": item})
    found = await editor.request(
        "textDocument/inlineCompletion",
        {
            "textDocument": {"uri": URI},
            "position": {"line": 0, "character": 4},
            "context": {"triggerKind": 2},
        },
    )
    if found is None:
        assert "not among the languages" in await editor.command("why")
        return None
    return str(found["items"][0]["insertText"])


@pytest.mark.parametrize("language_id", ["typescript", "go", "rust", "cpp"])
async def test_a_user_who_has_added_qwen_is_served_in_every_language(language_id: str) -> None:
    qwen = CATALOGUE["Qwen/Qwen2.5-Coder-0.5B"].languages
    assert await completed(qwen, language_id) == "value"


@pytest.mark.parametrize(
    ("language_id", "text"),
    [("python", "value"), ("javascriptreact", "value"), ("go", None), ("typescript", None)],
)
async def test_a_model_of_three_languages_is_quiet_in_others(
    language_id: str, text: str | None
) -> None:
    assert await completed(("python", "java", "javascript"), language_id) == text


async def test_the_user_may_choose_the_languages() -> None:
    assert await completed(("python",), "go", languages=["go"]) == "value"
    assert await completed(("python",), "python", languages=["go"]) is None
    assert await completed(("python",), "rust", languages=["*"]) == "value"


async def test_an_editor_s_own_name_of_a_language_is_known() -> None:
    """Neovim calls shell scripts `sh` and C# `cs`."""
    assert await completed(("Shell",), "sh") == "value"
    assert await completed(("C#",), "cs") == "value"
