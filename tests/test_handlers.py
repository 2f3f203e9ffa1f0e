"""The whole server in this process, by the messages of an editor, with an engine of our own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from santa_lsp.completion.context import CompletionContext
from santa_lsp.completion.engine import Cost, Engine, Limits, Piece, Stop
from santa_lsp.server.handlers import build_server
from santa_lsp.settings import Settings
from tests.support.cursor import CURSOR
from tests.support.editor import URI, Editor, cursor_of, until


class OnlyGenerates(Engine):
    """The least that an engine can be."""

    def generate(
        self,
        context: CompletionContext,
        limits: Limits,
        on_piece: Callable[[Piece], bool],
        stop: Stop,
    ) -> Cost:
        on_piece(Piece("answer + "))
        on_piece(Piece("42"))
        return Cost()


class Prepares(OnlyGenerates):
    """Keeps the text before the cursor of what it is asked to prepare."""

    def __init__(self) -> None:
        self.prepared: list[str] = []

    def prepare(self, context: CompletionContext, stop: Stop) -> int:
        self.prepared.append(context.prefix)
        return 0


async def start(
    engine: Engine | None = None, *, problems: tuple[str, ...] = (), **params: Any
) -> Editor:
    """An editor of the server, which loads that engine, or the least there can be."""
    chosen = engine or OnlyGenerates()
    server = build_server(Settings(debounce_ms=0), problems, load_engine=lambda settings: chosen)
    return await Editor.start(server, **params)


async def ask(editor: Editor, text: str, method: str = "inlineCompletion", **extra: Any) -> Any:
    """The reply to a request by hand at the cursor of a text."""
    editor.show(text)
    position = cursor_of(text)
    params = {
        "textDocument": {"uri": URI},
        "position": {"line": position.line, "character": position.character},
        "context": {"triggerKind": 1},
        **extra,
    }
    return await editor.request(f"textDocument/{method}", params)


async def test_an_engine_that_only_generates_serves_every_feature() -> None:
    editor = await start()
    (item,) = (await ask(editor, "x = ║\n"))["items"]
    assert item["insertText"] == "answer + 42"
    assert item["command"] == {
        "title": "Completion accepted",
        "command": "santa.accepted",
        "arguments": [URI, 0],
    }
    assert "11 characters" in await editor.command("why")
    await editor.command("accepted", URI, 0)
    found = await editor.command("statistics")
    assert (found["requests"], found["answered"]["model"]) == (1, 1)
    assert found["prefixCache"] == {"bytes": 0, "built": 0, "dropped": 0}
    editor.notify(
        "santa/cursor",
        {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 1}},
    )
    await editor.command("restart")
    await editor.command("selectModel", "another")
    assert await ask(editor, "x = ║\n") is not None
    assert await editor.request("shutdown") is None
    assert editor.told("window/showMessage") == []


async def test_a_growing_text_is_sent_under_the_token_of_the_request() -> None:
    editor = await start()
    await ask(editor, "x = ║\n", partialResultToken="t")
    told = editor.told("$/progress")
    assert {each["token"] for each in told} == {"t"}
    texts = [each["value"]["items"][0]["insertText"] for each in told]
    assert texts == ["answer +", "answer + 42"]


async def test_nothing_is_streamed_when_the_user_does_not_want_it() -> None:
    editor = await start(initializationOptions={"streaming": False})
    assert await ask(editor, "x = ║\n", partialResultToken="t") is not None
    assert editor.told("$/progress") == []


async def test_an_ordinary_list_has_the_completion_with_the_word_before_it() -> None:
    editor = await start()
    (item,) = (await ask(editor, "the║\n", "completion"))["items"]
    assert item["textEdit"]["newText"] == "theanswer + 42"
    assert item["textEdit"]["range"]["start"] == {"line": 0, "character": 0}


async def test_the_ordinary_list_can_be_switched_off_later() -> None:
    editor = await start()
    editor.notify(
        "workspace/didChangeConfiguration", {"settings": {"santa": {"fallbackCompletion": False}}}
    )
    assert await ask(editor, "the║\n", "completion") is None
    assert await ask(editor, "the║\n") is not None


async def test_problems_of_the_settings_file_and_of_the_options_are_told_once_each() -> None:
    editor = await start(
        problems=("unknown setting 'a' is ignored",), initializationOptions={"b": 1}
    )
    await ask(editor, "x = ║\n")
    told = [message["message"] for message in editor.told("window/showMessage")]
    assert told == [
        "santa-lsp: unknown setting 'a' is ignored",
        "santa-lsp: unknown setting 'b' is ignored",
    ]


async def test_the_old_name_of_a_setting_works() -> None:
    editor = await start(initializationOptions={"anchorMemoryMb": 64, "maxNewTokens": 2})
    await ask(editor, "x = ║\n")
    assert editor.told("window/showMessage") == []


async def test_a_status_names_state_model_and_languages() -> None:
    wanted = {"experimental": {"santa": {"status": True}}}
    editor = await start(capabilities=wanted)
    await ask(editor, "x = ║\n")
    told = editor.told("santa/status")
    assert [each["state"] for each in told[:2]] == ["loading", "ready"]
    assert told[1]["languages"] == ["*"]
    assert told[-1]["latencyMs"] >= 0
    await editor.command("accepted", URI, 0)
    assert editor.told("santa/status")[-1]["accepted"] == 1


async def test_a_document_that_is_not_open_is_answered_with_null_and_why() -> None:
    editor = await start()
    editor.show(f"x = {CURSOR}")
    editor.shut()
    params = {
        "textDocument": {"uri": URI},
        "position": {"line": 0, "character": 0},
        "context": {"triggerKind": 1},
    }
    assert await editor.request("textDocument/inlineCompletion", params) is None
    assert await editor.command("why") == "the document is not open"


@pytest.mark.parametrize("arguments", [(), (1, 2), (URI,), (URI, "x"), (None, None, None)])
async def test_whatever_an_editor_says_was_accepted_is_counted(
    arguments: tuple[object, ...],
) -> None:
    editor = await start(capabilities={"experimental": {"santa": {"status": True}}})
    await editor.command("accepted", *arguments)
    assert editor.told("santa/status")[-1]["accepted"] == 1


def edit(editor: Editor) -> None:
    here = {"line": 0, "character": 4}
    change = {"range": {"start": here, "end": here}, "text": "a"}
    document = {"uri": URI, "version": 100}
    changes = {"textDocument": document, "contentChanges": [change]}
    editor.notify("textDocument/didChange", changes)


def move(editor: Editor) -> None:
    params = {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 2}}
    editor.notify("santa/cursor", params)


@pytest.mark.parametrize(("act", "prefix"), [(edit, "x = a"), (move, "x "), (None, "x = ")])
async def test_the_prefix_is_cached_where_an_edit_a_move_or_a_request_leaves_the_cursor(
    act: Callable[[Editor], None] | None, prefix: str
) -> None:
    engine = Prepares()
    editor = await start(engine)
    await ask(editor, "x = ║\n")
    if act is not None:
        act(editor)
    await until(lambda: engine.prepared)
    assert engine.prepared == [prefix]
