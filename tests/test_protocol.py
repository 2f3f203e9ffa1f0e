"""The wire against a real process: every row of the trap table, and what else clients get wrong.

`session` is one server that all the tests of bad input share, as it must survive them all;
`client` is a fresh one, for tests that end it.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santa_lsp.protocol.framing import MAX_BODY, Framing, Malformed
from santa_lsp.protocol.messages import describe_error
from tests.support.lsp_client import LspClient, LspError, frame

SERVER = [sys.executable, "-m", "tests.support.protocol_server"]
ENV = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
URI = "file:///project/a.py"

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602
INTERNAL_ERROR, NOT_INITIALIZED, CANCELLED = -32603, -32002, -32800


def start(*arguments: str) -> LspClient:
    """A fresh server, not initialized."""
    return LspClient.start([*SERVER, *arguments], env=ENV)


@pytest.fixture
def client() -> Iterator[LspClient]:
    with start() as client:
        client.initialize()
        yield client


@pytest.fixture(scope="module")
def shared() -> Iterator[LspClient]:
    with start() as client:
        client.initialize()
        yield client


@pytest.fixture
def session(shared: LspClient) -> Iterator[LspClient]:
    """The shared server; whatever a test did to it, it answers afterwards, and nothing more."""
    yield shared
    assert shared.request("workspace/executeCommand", echo("still here")) == "still here"
    assert not any(shared.replies.values())


def echo(text: str) -> dict[str, Any]:
    return {"command": "test.command", "arguments": [text]}


def request(method: str, params: object = None, msg_id: object = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": msg_id, "method": method, "params": params}


def text_of(client: LspClient, uri: str = URI) -> str:
    text: str = client.request("test/document", {"uri": uri})["text"]
    return text


# --- Capabilities and documents


def test_the_capability_is_advertised() -> None:
    with start() as client:
        result = client.initialize(encodings=["utf-8", "utf-16"])
        assert result["capabilities"]["inlineCompletionProvider"] == {}
        assert result["capabilities"]["positionEncoding"] == "utf-8"
        assert result["capabilities"]["textDocumentSync"]["change"] == 2
        assert result["serverInfo"] == {"name": "protocol-test", "version": "1"}


@pytest.mark.parametrize(
    ("encodings", "chosen", "character"),
    [(["utf-8"], "utf-8", 12), (["utf-32", "utf-8"], "utf-32", 4), (None, "utf-16", 5)],
)
def test_odd_line_breaks_do_not_corrupt_incremental_edits(
    encodings: list[str] | None, chosen: str, character: int
) -> None:
    """\\f \\v \\x1c \\x85 U+2028 end no line; characters count in the negotiated encoding."""
    with start() as client:
        client.initialize(encodings=encodings)
        for number, end in enumerate(("\n", "\r\n", "\r")):
            uri = f"file:///project/{number}.py"
            text = f"a\fb\vc\x1cd\x85e\u2028f{end}é€🙂\u2028x = 1{end}last"
            client.open(uri, text)
            client.change(uri, 2, "y", (1, character), (1, character + 1))
            known = client.request("test/document", {"uri": uri})
            assert known["text"] == text.replace("x =", "y =")
            assert (known["version"], known["encoding"], known["newline"]) == (2, chosen, end)
            reply = client.result(client.inline_completion(uri, (1, character + 1)))
            assert reply["items"][0]["insertText"] == "2:" + re.sub(
                "\r\n?", "\n", text.partition("x =")[0] + "y"
            )


def test_a_document_lives_from_open_to_close(session: LspClient) -> None:
    session.open(URI, "one", language="python")
    session.change(URI, 2, "all new\r\n")  # full text, though we asked for increments
    known = session.request("test/document", {"uri": URI})
    assert (known["text"], known["version"], known["language"]) == ("all new\r\n", 2, "python")
    session.close_document(URI)
    assert session.request("test/document", {"uri": URI}) is None
    session.open(URI, "one", language="java")
    assert session.request("test/document", {"uri": URI})["language"] == "java"
    session.close_document(URI)


def test_a_uri_escaped_in_another_way_is_the_same_document(session: LspClient) -> None:
    session.open("file:///c%3A/a%20b.py", "one")
    assert text_of(session, "file:///c:/a b.py") == "one"
    session.close_document("file:///c:/a%20b.py")
    assert session.request("test/document", {"uri": "file:///c%3A/a%20b.py"}) is None


def test_an_edit_of_a_document_that_is_not_open_is_dropped(session: LspClient) -> None:
    session.change("file:///unknown.py", 2, "x", (0, 0))
    assert session.request("test/document", {"uri": "file:///unknown.py"}) is None


def test_notebook_cells_are_documents(session: LspClient) -> None:
    def cell(name: str, text: str) -> dict[str, Any]:
        return {"uri": f"cell:{name}", "languageId": "python", "version": 1, "text": text}

    notebook: dict[str, Any] = {
        "uri": "file:///n.ipynb",
        "notebookType": "jupyter-notebook",
        "version": 1,
        "cells": [{"kind": 2, "document": "cell:1"}],
    }
    session.notify(
        "notebookDocument/didOpen",
        {"notebookDocument": notebook, "cellTextDocuments": [cell("1", "a\fb\nc")]},
    )
    at = {"line": 1, "character": 1}
    change = {
        "structure": {
            "array": {"start": 1, "deleteCount": 0, "cells": [{"kind": 2, "document": "cell:2"}]},
            "didOpen": [cell("2", "two")],
        },
        "textContent": [
            {
                "document": {"uri": "cell:1", "version": 2},
                "changes": [{"range": {"start": at, "end": at}, "text": "!"}],
            }
        ],
    }
    session.notify(
        "notebookDocument/didChange",
        {
            "notebookDocument": {"uri": "file:///n.ipynb", "version": 2},
            "change": {"cells": change},
        },
    )
    assert text_of(session, "cell:1") == "a\fb\nc!"
    assert text_of(session, "cell:2") == "two"
    session.notify(
        "notebookDocument/didClose",
        {
            "notebookDocument": {"uri": "file:///n.ipynb"},
            "cellTextDocuments": [{"uri": "cell:1"}, {"uri": "cell:2"}],
        },
    )
    assert session.request("test/document", {"uri": "cell:1"}) is None


def test_a_handler_sees_the_document_as_it_was_when_the_request_came(session: LspClient) -> None:
    session.open(URI, "before")
    change = {
        "textDocument": {"uri": URI, "version": 2},
        "contentChanges": [{"text": "after"}],
    }
    params = {
        "textDocument": {"uri": URI},
        "position": {"line": 0, "character": 6},
        "context": {"triggerKind": 2},
    }
    note = {"jsonrpc": "2.0", "method": "textDocument/didChange", "params": change}
    # In one write, so that both have arrived before either is handled.
    message = request("textDocument/inlineCompletion", params, "snapshot")
    session.send_raw(frame(message) + frame(note))
    assert session.result("snapshot")["items"][0]["insertText"] == "1:before"
    assert text_of(session) == "after"
    session.close_document(URI)


def test_partial_result_token_reaches_the_handler(session: LspClient) -> None:
    session.open(URI, "abc")
    msg_id = session.inline_completion(URI, (0, 2), partialResultToken="p", workDoneToken="w")
    assert session.wait_for("$/progress") == {
        "token": "p",
        "value": {"items": [{"insertText": "1:ab"}]},
    }
    assert session.result(msg_id)["items"]
    session.result(session.inline_completion(URI, (0, 2)))
    session.close_document(URI)
    assert sum(note["method"] == "$/progress" for note in session.notifications) == 1


def test_a_document_of_40_mib(client: LspClient) -> None:
    text = "x = 'twenty characters'\r\n" * (40 * 2**20 // 25)
    client.open(URI, text)
    client.change(URI, 2, "y", (800_000, 0), (800_000, 1))
    assert client.request("test/length", {"uri": URI}) == len(text)
    reply = client.result(client.inline_completion(URI, (800_000, 3)))
    assert reply["items"][0]["insertText"].endswith("characters'\ny =")
    assert client.close() == 0


# --- Cancelling and busy threads


def test_cancelling_an_async_handler(session: LspClient) -> None:
    msg_id = session.send_request("test/forever")
    session.wait_for("test/started")
    session.cancel(msg_id)
    assert session.error(msg_id) == CANCELLED
    session.wait_for("test/stopped")


def test_cancelling_a_request_sent_in_the_same_write(session: LspClient) -> None:
    started = len(session.notifications)
    note = {"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": "early"}}
    session.send_raw(frame(request("test/forever", None, "early")) + frame(note))
    assert session.error("early") == CANCELLED
    for taken in session.notifications[started:]:  # leave none for the next test
        session.wait_for(taken["method"])


def test_six_busy_threads_do_not_delay_a_cancel() -> None:
    """pygls reads stdin in the same pool: with its workers taken, no cancel is ever read."""
    with start("--workers", "6") as client:
        client.initialize()
        client.request("test/busy", {"threads": 6})
        msg_id = client.send_request("test/forever")
        client.wait_for("test/started")
        client.cancel(msg_id)
        assert client.error(msg_id) == CANCELLED
        assert client.close() == 0


def test_cancelling_what_is_unknown_or_answered(session: LspClient) -> None:
    msg_id = session.send_request("workspace/executeCommand", echo("done"))
    session.result(msg_id)
    session.cancel(msg_id)
    session.cancel("never sent")


# --- Bad messages


@pytest.mark.parametrize(
    ("params", "method"),
    [
        (None, "textDocument/inlineCompletion"),
        ({}, "textDocument/inlineCompletion"),
        ([], "textDocument/inlineCompletion"),
        ("x", "textDocument/inlineCompletion"),
        (
            {
                "textDocument": {"uri": URI},
                "position": {"line": -1, "character": "x"},
                "context": {"triggerKind": 9},
            },
            "textDocument/inlineCompletion",
        ),
        ({"command": 1, "arguments": 2}, "workspace/executeCommand"),
        ({"command": "no such command"}, "workspace/executeCommand"),
        ({"command": "test.command", "arguments": []}, "workspace/executeCommand"),
    ],
)
def test_invalid_params_are_answered(session: LspClient, params: object, method: str) -> None:
    with pytest.raises(LspError) as caught:
        session.request(method, params)
    assert caught.value.code == INVALID_PARAMS


@pytest.mark.parametrize("params", [None, {}, [], {"textDocument": 5}, {"id": {}}])
@pytest.mark.parametrize("method", ["textDocument/didOpen", "$/cancelRequest", "test/unknown"])
def test_a_notification_with_invalid_params_is_dropped(
    session: LspClient, params: object, method: str
) -> None:
    session.notify(method, params)


@pytest.mark.parametrize("params", [None, {}, [1], "x"])
@pytest.mark.parametrize("method", ["no/such", "$/noSuch", "textDocument/hover"])
def test_an_unknown_method_is_answered(session: LspClient, params: object, method: str) -> None:
    with pytest.raises(LspError) as caught:
        session.request(method, params)
    assert caught.value.code == METHOD_NOT_FOUND


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"",
        b"no json",
        b'{"jsonrpc": "2.0", "id": 1, "method": }',
        b'{"jsonrpc": "2.0", "id": 1, "method": "shutdown\xff"}',
        b'{"a": "' + b"raw\nline end" + b'"}',
        b'{"a": ' * 100_000 + b"1" + b"}" * 100_000,
        b"[" * 100_000,
        b'{"id": 1' + b"0" * 5000 + b"}",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_a_body_that_is_no_json(session: LspClient, body: bytes) -> None:
    session.send_raw(b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert session.error(None) == PARSE_ERROR


@pytest.mark.parametrize(
    ("message", "reply_to"),
    [
        ([], None),
        ([request("shutdown")], None),  # a batch
        (5, None),
        ("text", None),
        (None, None),
        ({}, None),
        ({"jsonrpc": "1.0", "id": "v1", "method": "shutdown"}, "v1"),
        ({"id": "v0", "method": "shutdown"}, "v0"),
        ({"jsonrpc": "2.0", "id": "number", "method": 5}, "number"),
        ({"jsonrpc": "2.0", "id": "no method"}, "no method"),
        ({"jsonrpc": "2.0", "id": None, "method": "shutdown"}, None),
        ({"jsonrpc": "2.0", "id": True, "method": "shutdown"}, None),
        ({"jsonrpc": "2.0", "id": {"a": 1}, "method": "shutdown"}, None),
        ({"jsonrpc": "2.0", "id": 1.5, "method": "shutdown"}, None),
    ],
    ids=repr,
)
def test_an_invalid_request(session: LspClient, message: object, reply_to: str | None) -> None:
    session.send(message)
    assert session.error(reply_to) == INVALID_REQUEST


def test_an_id_in_use_is_refused(session: LspClient) -> None:
    session.send(request("test/forever", None, "twice"))
    session.send(request("test/forever", None, "twice"))
    assert session.error("twice") == INVALID_REQUEST
    session.wait_for("test/started")
    session.cancel("twice")
    assert session.error("twice") == CANCELLED
    session.wait_for("test/stopped")


def test_a_response_to_nothing_is_ignored(session: LspClient) -> None:
    msg_id = session.send_request("test/forever")
    session.wait_for("test/started")
    for reply_to in (msg_id, "unknown", None, {"a": 1}, [], 1.5):
        session.send({"jsonrpc": "2.0", "id": reply_to, "result": None})
        session.send({"jsonrpc": "2.0", "id": reply_to, "error": {"code": 1, "message": "x"}})
        session.send({"jsonrpc": "2.0", "id": reply_to, "error": 5})
    session.cancel(msg_id)  # the reply to our own request's id has not settled it
    assert session.error(msg_id) == CANCELLED
    session.wait_for("test/stopped")


def test_a_request_of_the_server(session: LspClient) -> None:
    session.answers["workspace/configuration"] = lambda _: [{"model": "mini"}]
    assert session.request("test/ask") == [{"model": "mini"}]
    session.answers["workspace/configuration"] = lambda _: 5  # no list: the asker is told
    with pytest.raises(LspError) as caught:
        session.request("test/ask")
    assert caught.value.code == INTERNAL_ERROR


# --- Headers

GOOD = frame(request("workspace/executeCommand", echo("good"), "good"))
BODY = GOOD.partition(b"\r\n\r\n")[2]
SIZE = len(BODY)


@pytest.mark.parametrize(
    "data",
    [
        b"content-length: %d\r\n\r\n" % SIZE + BODY,
        b"CONTENT-LENGTH:%d\r\n\r\n" % SIZE + BODY,
        b"Content-Length : %d \r\n\r\n" % SIZE + BODY,
        b"Content-Length: %d\n\n" % SIZE + BODY,
        b"Content-Type: application/vscode-jsonrpc; charset=utf8\r\n" + GOOD,
        b"Content-Length: %d\r\ncontent-type: x\r\n\r\n" % SIZE + BODY,
        b"X-Unknown: yes\r\n" + GOOD,
        b"\r\n\r\n\n" + GOOD,
        b"debug output of a wrapper script\n" + GOOD,
        b"~" * 100_000 + b"\n" + GOOD,
    ],
    ids=lambda data: repr(data[:24]),
)
def test_unusual_headers(session: LspClient, data: bytes) -> None:
    session.send_raw(data)
    assert session.result("good") == "good"


@pytest.mark.parametrize(
    "data",
    [
        b"Content-Type: x\r\n\r\n" + BODY,
        b"Content-Length: abc\r\n\r\n" + BODY,
        b"Content-Length: -5\r\n\r\n" + BODY,
        b"Content-Length: %d\r\n\r\n" % (MAX_BODY + 1) + BODY,
        b"Content-Length: %d\r\n\r\n" % (SIZE - 1) + BODY,
        b"Content-Length: %d\r\n\r\n" % (SIZE // 2) + BODY,
        b"Content-Length: 1\r\n\r\n" + BODY,
        b"Content-Length: %d\r\n\r\n" % (SIZE + 1) + BODY,
        b"Content-Length: %d\r\n\r\n" % (SIZE + 20) + BODY,
        b"Content-Length: %d\r\n\r\n" % (SIZE + 30) + BODY,
        b"Content-Length: %d\r\n\r\n" % (2 * SIZE + 22) + BODY,
        b"Content-Length: 100000000\r\n\r\n" + BODY,
    ],
    ids=lambda data: repr(data[:30]),
)
def test_a_missing_or_wrong_length_costs_one_message_only(session: LspClient, data: bytes) -> None:
    session.send_raw(data + GOOD)
    assert session.error(None) == PARSE_ERROR
    assert session.result("good") == "good"


messages = st.lists(
    st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3), max_size=5
)


@given(messages, st.lists(st.integers(0, 300)), st.booleans())
def test_any_cut_of_the_stream_gives_the_same_messages(
    sent: list[dict[str, str]], cuts: list[int], pretty: bool
) -> None:
    stream = b""
    for message in sent:
        body = json.dumps(message, ensure_ascii=False, indent=2 if pretty else None).encode()
        stream += b"Content-Length: %d\r\n\r\n" % len(body) + body
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    framing = Framing()
    received = [
        message
        for start, end in itertools.pairwise(edges)
        for message in framing.feed(stream[start:end])
    ]
    assert received == sent


@given(messages, messages, st.binary(max_size=60), st.lists(st.integers(0, 200)))
def test_junk_never_stops_the_stream(
    before: list[dict[str, str]], after: list[dict[str, str]], junk: bytes, cuts: list[int]
) -> None:
    stream = (
        b"".join(map(frame, before)) + junk + b"\n" + b"".join(map(frame, [*after, {"z": "z"}]))
    )
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    framing = Framing()
    received = [
        message
        for start, end in itertools.pairwise(edges)
        for message in framing.feed(stream[start:end])
        if not isinstance(message, Malformed)
    ]
    assert received == [*before, *after, {"z": "z"}]


def test_code_that_talks_of_headers_is_no_header() -> None:
    message = {"text": 'send("Content-Length: 5\r\n\r\n{}")\nContent-Length: 7\n'}
    assert list(Framing().feed(frame(message))) == [message]


# --- Failing handlers and what is logged


def test_a_failing_handler_is_answered_without_a_pop_up(session: LspClient) -> None:
    seen = len(session.notifications)
    with pytest.raises(LspError) as caught:
        session.request("test/fail", {"text": "SECRET", "code": None})
    assert (caught.value.code, caught.value.message) == (INTERNAL_ERROR, "ValueError")
    assert caught.value.data is None
    session.notify("test/failNotification", {"text": "SECRET"})
    with pytest.raises(LspError) as caught:
        session.request("test/fail", {"text": "", "code": -32801})
    assert (caught.value.code, caught.value.message) == (-32801, "deliberate")
    with pytest.raises(LspError) as caught:
        session.request("test/unwritable")
    assert caught.value.code == INTERNAL_ERROR
    assert session.notifications[seen:] == []


@pytest.mark.parametrize("options", [[], ["--debug"]])
def test_no_log_ever_holds_what_the_user_wrote(options: list[str]) -> None:
    with start(*options) as client:
        client.initialize(options={"secret": "SECRET"})
        client.open(URI, "SECRET = 1\n" * 3)
        client.change(URI, 2, "SECRET", (1, 0))
        client.change("file:///not-open", 2, "SECRET", (1, 0))
        client.result(client.inline_completion(URI, (1, 6), partialResultToken="t"))
        client.send_raw(b'Content-Length: 9\r\n\r\n"SECRET\xff"')
        client.send_raw(b'Content-Length: 8\r\n\r\n"SECRET"SECRET SECRET\r\n\r\n')
        client.notify("textDocument/didOpen", {"text": "SECRET"})
        client.notify("test/failNotification", {"text": "SECRET"})
        client.notify("test/task", {"text": "SECRET"})
        for method, params in [
            ("textDocument/inlineCompletion", {"text": "SECRET"}),
            ("workspace/executeCommand", {"command": "test.command", "arguments": ["SECRET", 2]}),
            ("test/fail", {"text": "SECRET", "code": None}),
            ("test/fail", {"text": "SECRET", "code": -32603}),
            ("test/unwritable", {"text": "SECRET"}),
            ("no/such", {"text": "SECRET"}),
        ]:
            with pytest.raises(LspError):
                client.request(method, params)
        client.answers["workspace/configuration"] = lambda _: "SECRET"
        client.request("test/ask")
        assert client.close() == 0
        assert "test/fail failed: ValueError" in client.stderr
        assert "protocol_server.py" in client.stderr  # where it was raised
        assert "SECRET" not in client.stderr


def test_describe_error_gives_causes_and_places_only() -> None:
    try:
        try:
            raise KeyError("SECRET")
        except KeyError as error:
            raise ValueError("SECRET") from error
    except ValueError as error:
        described = describe_error(error)
    assert re.fullmatch(
        r"ValueError\n  \S+\.py:\d+ in \w+\nKeyError\n  \S+\.py:\d+ in \w+", described
    )


def test_prints_and_children_cannot_touch_the_wire(client: LspClient) -> None:
    assert client.request("test/print") == "printed"
    assert client.close() == 0
    for stray in ("stray print", "stray write", "stray child"):
        assert stray in client.stderr


# --- The session's beginning and end


def test_before_initialize() -> None:
    with start() as client:
        client.open(URI, "dropped")
        for method in ("textDocument/inlineCompletion", "shutdown", "no/such"):
            with pytest.raises(LspError) as caught:
                client.request(method, {})
            assert caught.value.code == NOT_INITIALIZED
        with pytest.raises(LspError) as caught:
            client.request("initialize", {"capabilities": 5})
        assert caught.value.code == INVALID_PARAMS
        client.initialize()
        with pytest.raises(LspError) as caught:
            client.request("initialize", {"capabilities": {}, "processId": None, "rootUri": None})
        assert caught.value.code == INVALID_REQUEST
        assert client.request("test/document", {"uri": URI}) is None


def test_after_shutdown(client: LspClient) -> None:
    assert client.request("shutdown") is None
    for method in ("shutdown", "initialize", "textDocument/inlineCompletion", "no/such"):
        with pytest.raises(LspError) as caught:
            client.request(method)
        assert caught.value.code == INVALID_REQUEST
    client.open(URI, "dropped")
    client.notify("exit")
    assert client.wait() == 0


def test_shutdown_answers_the_requests_under_way(client: LspClient) -> None:
    asked = [client.send_request("test/forever") for _ in range(10)]
    # pygls answers a cancelled command at once, from inside the loop that cancels everything.
    command = {"command": "test.wait", "arguments": []}
    asked += [client.send_request("workspace/executeCommand", command) for _ in range(10)]
    for _ in asked:
        client.wait_for("test/started")
    shutdown = frame(request("shutdown", None, "shutdown"))
    client.send_raw(shutdown + frame({"jsonrpc": "2.0", "method": "exit"}))
    assert client.wait() == 0
    assert client.result("shutdown") is None
    assert [client.error(msg_id) for msg_id in asked] == [CANCELLED] * 20


def test_exit_without_shutdown_is_a_failure(client: LspClient) -> None:
    client.notify("exit")
    assert client.wait() == 1


def test_exit_before_initialize() -> None:
    with start() as client:
        client.notify("exit")
        assert client.wait() == 1


@pytest.mark.parametrize("shut_down", [True, False])
def test_the_end_of_the_stream_ends_the_process(client: LspClient, shut_down: bool) -> None:
    if shut_down:
        client.request("shutdown")
    client.hang_up()
    assert client.wait() == (0 if shut_down else 1)


@pytest.mark.parametrize("ending", ["shutdown", "exit", "hang up"])
def test_a_busy_thread_does_not_delay_the_end(client: LspClient, ending: str) -> None:
    client.request("test/busy", {"threads": 1})  # computes for ever: a wait would never end
    if ending == "shutdown":
        assert client.close() == 0
    else:
        if ending == "exit":
            client.notify("exit")
        else:
            client.hang_up()
        assert client.wait() == 1


def test_a_stuck_event_loop_does_not_outlive_its_client() -> None:
    with start("--grace", "0.2") as client:
        client.initialize()
        client.send_request("test/stuck")
        client.hang_up()
        assert client.wait() == 1


def test_a_client_that_no_longer_listens() -> None:
    with start() as client:
        client.initialize()
        assert client.process is not None
        client.stop_listening()
        client.request("workspace/executeCommand", echo("the last message heard"))
        client.send_request("workspace/executeCommand", echo("unheard"))
        assert client.process.wait(60) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="needs sleep")
@pytest.mark.parametrize("stuck", [False, True])
def test_the_server_does_not_outlive_its_parent(stuck: bool) -> None:
    parent = subprocess.Popen(["sleep", "600"])
    try:
        with start("--poll", "0.1") as client:
            client.initialize(process_id=parent.pid)
            if stuck:
                client.send_request("test/stuck")
            time.sleep(0.5)  # some looks at a living parent
            assert client.process is not None
            assert client.process.poll() is None
            parent.kill()
            parent.wait()
            assert client.wait() == 1  # though its stdin is still open
    finally:
        parent.kill()
        parent.wait()


def test_a_parent_of_another_container_is_not_watched() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    with start("--poll", "0.1") as client:
        client.initialize(process_id=gone.pid)
        time.sleep(0.5)  # some looks
        assert client.request("workspace/executeCommand", echo("here")) == "here"


# --- Sockets


def test_tcp_is_the_same_wire() -> None:
    with start("--tcp", "0") as process:
        port = listening_port(process)
        with LspClient.connect("127.0.0.1", port) as client:
            client.initialize()
            client.send_raw(b"Content-Length: 5\r\n\r\n{bad}")
            assert client.error(None) == PARSE_ERROR
            client.send_raw(b"content-length: %d\r\n\r\n" % SIZE + BODY)
            assert client.result("good") == "good"
            client.request("shutdown")
            client.notify("exit")
            assert process.wait() == 0


def test_a_closed_tcp_connection_ends_the_process() -> None:
    with start("--tcp", "0") as process:
        port = listening_port(process)
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(GOOD)
            assert b"-32002" in connection.recv(1000)
        assert process.wait() == 1


def test_websocket_is_the_same_wire_without_headers() -> None:
    from websockets.sync.client import connect

    with start("--ws", "0") as process:
        port = listening_port(process)
        with connect(f"ws://127.0.0.1:{port}") as connection:

            def reply_to(message: str) -> Any:
                connection.send(message)
                return json.loads(connection.recv(timeout=60))

            params = {"processId": None, "rootUri": None, "capabilities": {}}
            assert "result" in reply_to(json.dumps(request("initialize", params)))
            assert reply_to("{bad}")["error"]["code"] == PARSE_ERROR
            assert reply_to(BODY.decode())["result"] == "good"
            assert reply_to(json.dumps(request("shutdown")))["result"] is None
        assert process.wait() == 0


def listening_port(process: LspClient) -> int:
    """The port a server says it listens on."""
    deadline = time.monotonic() + 60
    while not (found := re.search(r"listening on 127\.0\.0\.1:(\d+)", process.stderr)):
        assert process.process is not None
        assert process.process.poll() is None, process.stderr
        assert time.monotonic() < deadline, process.stderr
        time.sleep(0.02)
    return int(found[1])
