"""The real server process with the embedded model, over stdio."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from santa_lsp.models import embedded_directory
from tests.support.lsp_client import LspClient, LspError, frame

ROOT = Path(__file__).parents[2]
SHAPES = (ROOT / "examples" / "shapes.py").read_text()
URI = "file:///shapes.py"
#: Nothing is held back for want of confidence, and no test waits for a debounce.
OPTIONS = {"minConfidence": 0, "debounceMs": 0}
PROGRESS = {"window": {"workDoneProgress": True}}


def start(*arguments: str, options: object = OPTIONS, **initialize: Any) -> LspClient:
    client = LspClient.start([sys.executable, "-m", "santa_lsp", "--stdio", *arguments])
    client.initialize(options=options, **initialize)
    return client


@pytest.fixture(scope="module")
def server() -> Iterator[LspClient]:
    """A server shared by the tests that leave it as it was; each opens a document of its own."""
    with start() as client:
        yield client


@pytest.fixture(scope="module")
def spoken(server: LspClient) -> list[tuple[int, int]]:
    """Places of SHAPES where the model has something to say; in a document that has not been asked
    about yet, it will say the same and nothing of it is remembered."""
    server.open("file:///probe.py", SHAPES)
    ends = [(number, len(line)) for number, line in enumerate(SHAPES.splitlines()) if line.strip()]
    return [place for place in ends if ask(server, "file:///probe.py", place) is not None]


def ask(client: LspClient, uri: str, position: tuple[int, int], **extra: Any) -> Any:
    """The reply to a request by hand (no gate in the way)."""
    extra.setdefault("context", {"triggerKind": 1})
    return client.result(client.inline_completion(uri, position, **extra))


def why(client: LspClient) -> str:
    answer: str = client.request("workspace/executeCommand", {"command": "santa.why"})
    return answer


def first_completion(
    client: LspClient, uri: str, text: str, **extra: Any
) -> tuple[tuple[int, int], dict[str, Any]]:
    """The first end of a line where the model has something to say on it, and the item."""
    for number, line in enumerate(text.splitlines()):
        if line.strip():
            reply = ask(client, uri, (number, len(line)), **extra)
            if reply is not None and not reply["items"][0]["insertText"].startswith(("\r", "\n")):
                return (number, len(line)), reply["items"][0]
    raise AssertionError("the model completes no line at all")


def apply_item(text: str, item: dict[str, Any]) -> str:
    """The text after the editor has inserted the item; ASCII lines only."""
    lines = text.split("\n")
    begin, end = item["range"]["start"], item["range"]["end"]
    assert begin["line"] == end["line"]
    line = lines[begin["line"]]
    lines[begin["line"]] = (
        line[: begin["character"]] + item["insertText"] + line[end["character"] :]
    )
    return "\n".join(lines)


def test_initialize_comes_before_the_model_and_names_what_is_there() -> None:
    with LspClient.start([sys.executable, "-m", "santa_lsp", "--stdio"]) as client:
        params = {
            "processId": None,
            "rootUri": None,
            "capabilities": {**PROGRESS, "notebookDocument": {"synchronization": {}}},
        }
        capabilities = client.request("initialize", params)["capabilities"]
        assert capabilities["inlineCompletionProvider"] == {}
        assert capabilities["positionEncoding"] == "utf-16"
        assert capabilities["textDocumentSync"]["change"] == 2
        assert capabilities["notebookDocumentSync"]["notebookSelector"]
        names = ("accepted", "why", "statistics", "restart", "selectModel")
        commands = capabilities["executeCommandProvider"]["commands"]
        assert set(commands) == {f"santa.{name}" for name in names}
        assert client.notifications == []  # nothing is loaded for a client that is not ready
        client.notify("initialized", {})
        kinds = [client.wait_for("$/progress")["value"]["kind"] for _ in range(2)]
        assert kinds == ["begin", "end"]
        assert client.close() == 0


def test_a_completion_has_an_explicit_range_and_can_be_accepted(server: LspClient) -> None:
    server.open(URI, SHAPES)
    (line, column), item = first_completion(server, URI, SHAPES)
    place = {"line": line, "character": column}
    assert item["range"] == {"start": place, "end": place}
    assert item["insertText"].strip()
    assert item["command"]["command"] == "santa.accepted"
    assert server.request("workspace/executeCommand", {"command": "santa.accepted"}) is None
    assert "showed" in why(server)


def test_a_request_sent_before_the_model_is_loaded_is_answered_when_it_is() -> None:
    with start() as client:
        client.open(URI, SHAPES)
        first_completion(client, URI, SHAPES)


def test_the_rest_of_a_completion_is_answered_from_memory(server: LspClient) -> None:
    uri = "file:///typed.py"
    server.open(uri, SHAPES)
    (line, column), item = first_completion(server, uri, SHAPES)
    text = item["insertText"]
    typed, rest = text[:1], text[1:]
    server.change(uri, 2, typed, (line, column))
    if rest:
        again = ask(server, uri, (line, column + 1))["items"][0]
        assert again["insertText"] == rest
        assert again["range"]["start"] == {"line": line, "character": column + 1}
    else:
        server.change(uri, 3, "", (line, column), (line, column + 1))
        assert ask(server, uri, (line, column))["items"][0]["insertText"] == text


def test_a_newer_request_takes_the_place_of_an_older_one(
    server: LspClient, spoken: list[tuple[int, int]]
) -> None:
    uri = "file:///latest.py"
    server.open(uri, "# another start, so that nothing of it has been computed\n" + SHAPES)
    line, character = spoken[0]
    params = {
        "textDocument": {"uri": uri},
        "position": {"line": line + 1, "character": character},
        "context": {"triggerKind": 1},
    }
    call = {"jsonrpc": "2.0", "method": "textDocument/inlineCompletion", "params": params}
    ids = [f"latest-{number}" for number in range(5)]
    server.send_raw(b"".join(frame({**call, "id": each}) for each in ids))  # all at once
    replies = [server.result(each) for each in ids]
    assert replies[-1] is not None
    assert replies[:4] == [None] * 4


def test_a_text_that_changed_meanwhile_makes_the_answer_null(
    server: LspClient, spoken: list[tuple[int, int]]
) -> None:
    uri = "file:///stale.py"
    server.open(uri, SHAPES)
    request = server.inline_completion(uri, spoken[0], context={"triggerKind": 1})
    server.change(uri, 2, "# newer\n", (0, 0))
    assert server.result(request) is None
    assert "changed" in why(server)


def test_cancelling_answers_with_an_error_and_frees_the_model(server: LspClient) -> None:
    uri = "file:///cancel.py"
    server.open(uri, SHAPES)
    for version in range(2, 12):
        server.change(uri, version, f"# {version}\n", (0, 0))
        request = server.inline_completion(uri, (0, 0), context={"triggerKind": 1})
        server.cancel(request)
        assert server.error(request) == -32800
    first_completion(server, uri, SHAPES)


def test_streaming_grows_and_ends_in_the_reply(
    server: LspClient, spoken: list[tuple[int, int]]
) -> None:
    streamed = 0
    for number, place in enumerate(spoken):
        uri = f"file:///stream{number}.py"
        server.open(uri, SHAPES)
        seen = len(server.notifications)
        final = ask(server, uri, place, partialResultToken=f"stream-{number}")
        parts = [
            note["params"]["value"]["items"][0]["insertText"]
            for note in server.notifications[seen:]
            if note["method"] == "$/progress" and note["params"]["token"] == f"stream-{number}"
        ]
        assert parts == sorted(parts, key=len)
        assert all(final["items"][0]["insertText"].startswith(part) for part in parts)
        streamed += bool(parts)
    assert streamed > 0


def test_nothing_is_streamed_to_a_client_that_did_not_ask(server: LspClient) -> None:
    uri = "file:///quiet.py"
    seen = len(server.notifications)
    server.open(uri, SHAPES)
    first_completion(server, uri, SHAPES)
    assert [note["method"] for note in server.notifications[seen:]].count("$/progress") == 0


def test_positions_count_in_the_negotiated_encoding() -> None:
    """The model is asked at the same place whatever the positions count."""
    text = SHAPES.replace("import math", "import math  # 😀é", 1)
    number, line = next(row for row in enumerate(text.splitlines()) if "😀" in row[1])
    inserted = set()
    for encoding, column in (
        ("utf-8", len(line.encode())),
        ("utf-16", len(line.encode("utf-16-le")) // 2),
        ("utf-32", len(line)),
    ):
        with start(encodings=[encoding]) as client:
            client.open(URI, text)
            reply = ask(client, URI, (number, column))
            inserted.add(reply and reply["items"][0]["insertText"])
            if reply is not None:
                assert reply["items"][0]["range"]["start"] == {"line": number, "character": column}
            # A position past the end of everything means the end of the text.
            ask(client, URI, (10_000, 10_000))
            assert "not open" not in why(client)
    assert len(inserted) == 1


def test_a_crlf_file_gets_crlf_back(server: LspClient) -> None:
    uri, other = "file:///one/app/shapes.py", "file:///two/app/shapes.py"
    text = SHAPES.replace("\n", "\r\n")
    server.open(uri, text)
    server.open(other, SHAPES)
    for number, line in enumerate(SHAPES.splitlines()):
        place = (number, len(line))
        crlf, lf = ask(server, uri, place), ask(server, other, place)
        assert (crlf is None) == (lf is None)
        if crlf is not None:
            inserted = crlf["items"][0]["insertText"]
            assert inserted.replace("\r\n", "\n") == lf["items"][0]["insertText"]
            assert "\n" not in inserted.replace("\r\n", "")


def test_a_selected_item_of_the_editors_list_is_completed(server: LspClient) -> None:
    uri = "file:///selected.py"
    text = SHAPES + "\n\nprint(lar"
    server.open(uri, text)
    line = text.count("\n")
    whole = {"start": {"line": line, "character": 6}, "end": {"line": line, "character": 9}}
    selected = {"range": whole, "text": "largest"}
    reply = ask(
        server, uri, (line, 9), context={"triggerKind": 1, "selectedCompletionInfo": selected}
    )
    if reply is not None:
        assert reply["items"][0]["insertText"].startswith("largest")
        assert reply["items"][0]["range"] == whole
    same = server.change(uri, 2, "largest", (line, 6), (line, 9))
    assert same is None
    plain = ask(server, uri, (line, 13))
    assert (plain is None) == (reply is None)
    if plain is not None and reply is not None:
        assert reply["items"][0]["insertText"] == "largest" + plain["items"][0]["insertText"]


def test_a_notebook_cell_is_a_document(server: LspClient) -> None:
    cell = "notebook-cell:/n.ipynb#1"
    server.notify(
        "notebookDocument/didOpen",
        {
            "notebookDocument": {
                "uri": "file:///n.ipynb",
                "notebookType": "jupyter-notebook",
                "version": 1,
                "cells": [{"kind": 2, "document": cell}],
            },
            "cellTextDocuments": [
                {"uri": cell, "languageId": "python", "version": 1, "text": SHAPES}
            ],
        },
    )
    first_completion(server, cell, SHAPES)


def test_what_is_excluded_stays_silent(server: LspClient) -> None:
    server.open("file:///project/.env", "SECRET=abc\nOTHER=")
    assert ask(server, "file:///project/.env", (1, 6)) is None
    assert "'.env'" in why(server)


def test_a_document_that_is_not_open_is_answered_with_null(server: LspClient) -> None:
    assert ask(server, "file:///never.py", (0, 0)) is None
    assert "not open" in why(server)
    server.open("file:///closed.py", SHAPES)
    server.close_document("file:///closed.py")
    assert ask(server, "file:///closed.py", (0, 0)) is None


def test_binary_text_and_twenty_megabytes_are_survived(server: LspClient) -> None:
    server.open("file:///binary.py", "\x00\x01\x02\ufffd" * 5000)
    ask(server, "file:///binary.py", (0, 20_000))
    large = "value = 1\n" * 2_000_000
    server.open("file:///large.py", large)
    for version in range(2, 12):
        server.change("file:///large.py", version, "x", (1_000_000, 9))
    ask(server, "file:///large.py", (1_000_000, 9))
    one_line = "value = 1;" * 2_000_000
    server.open("file:///minified.py", one_line)
    ask(server, "file:///minified.py", (0, 1_000_000))
    assert "not open" not in why(server)
    for uri in ("file:///large.py", "file:///minified.py"):
        server.close_document(uri)


def test_settings_can_change_while_it_runs(server: LspClient) -> None:
    uri = "file:///changing.py"
    server.open(uri, SHAPES)
    (line, column), _ = first_completion(server, uri, SHAPES)
    changed = {"settings": {"santa": {"exclude": ["*.py"]}}}
    server.notify("workspace/didChangeConfiguration", changed)
    server.change(uri, 2, "# new\n", (0, 0))
    assert ask(server, uri, (line + 1, column)) is None
    assert "exclude" in why(server)
    server.notify("workspace/didChangeConfiguration", {"settings": {"santa": OPTIONS}})
    assert ask(server, uri, (line + 1, column)) is not None or "exclude" not in why(server)


def test_a_client_that_can_be_asked_is_asked_for_its_settings() -> None:
    client = LspClient.start([sys.executable, "-m", "santa_lsp", "--stdio"])
    client.answers["workspace/configuration"] = lambda params: [
        {**OPTIONS, "exclude": ["shapes.*"]}
    ]
    with client:
        client.initialize(capabilities={"workspace": {"configuration": True}})
        assert client.wait_for("workspace/configuration")["items"] == [{"section": "santa"}]
        client.open(URI, SHAPES)
        ask(client, URI, (3, 11))
        assert "'shapes.*'" in why(client)


def test_a_missing_model_is_told_and_the_server_stays() -> None:
    with start("--model", "no-such-model") as client:
        message = client.wait_for("window/showMessage")["message"]
        assert "no-such-model" in message
        assert "santa-mini" in message  # what there is instead
        client.open(URI, SHAPES)
        assert ask(client, URI, (23, 15)) is None
        assert "no-such-model" in why(client)
        client.request(
            "workspace/executeCommand",
            {"command": "santa.selectModel", "arguments": ["santa-mini"]},
        )
        first_completion(client, URI, SHAPES)
        assert client.close() == 0


def test_switching_models_keeps_the_documents(server: LspClient, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(embedded_directory(), other)
    uri, text = "file:///switch.py", "import os\n" + SHAPES
    server.open(uri, SHAPES)
    server.change(uri, 2, "import os\n", (0, 0))
    position, item = first_completion(server, uri, text)
    for name in (str(other), "santa-mini"):
        command = {"command": "santa.selectModel", "arguments": [name]}
        server.request("workspace/executeCommand", command)
        assert ask(server, uri, position)["items"][0]["insertText"] == item["insertText"]


def test_the_users_code_is_never_logged() -> None:
    secret = "tell_nobody_about_this_name"
    with start(options={**OPTIONS, "logLevel": "debug"}) as client:
        client.open(URI, f"{secret} = 1\n" + SHAPES)
        first_completion(client, URI, SHAPES)
        client.change(URI, 2, secret, (0, 0))
        bad = {"textDocument": {"uri": URI}, "position": secret, "context": {"triggerKind": 1}}
        with pytest.raises(LspError):
            client.request("textDocument/inlineCompletion", bad)
        client.notify("textDocument/didChange", {"textDocument": secret})
        client.send_raw(b"Content-Length: 9\r\n\r\n{" + secret.encode()[:8])
        client.close()
        assert secret not in client.stderr
        assert secret[:8] not in client.stderr


def test_the_server_needs_no_torch_and_no_network() -> None:
    """Neither is imported by a server that has loaded its model and answered."""
    script = (
        "import json, sys\n"
        "from santa_lsp.commands.complete import read_context\n"
        "from santa_lsp.completion.cache import CompletionCache\n"
        "from santa_lsp.completion.completer import Completer\n"
        "from santa_lsp.engines import load_engine\n"
        "from santa_lsp.settings import Settings\n"
        "import santa_lsp.server.handlers\n"
        "completer = Completer(load_engine(Settings(threads=1)), Settings(), CompletionCache())\n"
        "completer.complete(read_context('examples/shapes.py:24:16', None))\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert not loaded & {"torch", "transformers", "requests", "urllib3", "httpx", "huggingface_hub"}
