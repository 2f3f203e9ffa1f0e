"""`santa.statistics` of the real process: every request is counted once, and what it cost."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.test_server import OPTIONS, SHAPES, URI, ask, first_completion, start
from tests.support.lsp_client import TIMEOUT, LspClient


@pytest.fixture
def server() -> Iterator[LspClient]:
    with start() as client:
        client.open(URI, SHAPES)
        yield client


def statistics(client: LspClient) -> dict[str, Any]:
    found: dict[str, Any] = client.request(
        "workspace/executeCommand", {"command": "santa.statistics"}
    )
    return found


def test_a_server_that_was_asked_nothing_has_counted_nothing(server: LspClient) -> None:
    found = statistics(server)
    assert found["requests"] == 0
    assert found["last"] is None
    assert set(found["answered"].values()) | set(found["tokens"].values()) == {0}


def test_an_answer_of_the_model_and_typing_through_it(server: LspClient) -> None:
    (line, column), item = first_completion(server, URI, SHAPES)
    found = statistics(server)
    answered = found["answered"]["model"]  # a line before it may have been continued below
    assert answered >= 1
    assert found["answered"] == {"typedThrough": 0, "prefetched": 0, "model": answered}
    assert found["dropped"] == found["requests"] - answered
    tokens, last = found["tokens"], found["last"]
    assert last["source"] == "model"
    assert last["promptTokens"] == last["prefilledTokens"] + last["reusedTokens"] > 0
    assert last["generatedTokens"] > 0
    assert last["prefillMs"] > 0
    assert tokens["prompt"] == tokens["prefilled"] + tokens["reused"]

    server.change(URI, 2, item["insertText"][0], (line, column))
    assert ask(server, URI, (line, column + 1)) is not None
    again = statistics(server)
    assert again["answered"] == {"typedThrough": 1, "prefetched": 0, "model": answered}
    assert again["last"]["source"] == "typedThrough"
    assert again["last"]["prefilledTokens"] == 0
    assert again["tokens"]["prompt"] == tokens["prompt"]

    # Numbers only: no word of the text is in it.
    words = {word for word in SHAPES.split() if word.isidentifier() and len(word) > 3}
    assert not [word for word in words if f'"{word}' in json.dumps(again)]


def test_what_comes_after_an_accepted_completion_is_there_when_asked_for(server: LspClient) -> None:
    (line, column), item = first_completion(server, URI, SHAPES)
    server.change(URI, 2, item["insertText"], (line, column))
    server.request("workspace/executeCommand", item["command"])
    assert item["command"]["arguments"] == [URI, 0]
    before = statistics(server)["tokens"]
    lines = item["insertText"].split("\n")
    end = (line + len(lines) - 1, len(lines[-1]) + (column if len(lines) == 1 else 0))
    server.result(server.inline_completion(URI, end))
    after = statistics(server)["tokens"]
    assert after["prefetched"] > 0
    assert after["prompt"] == before["prompt"]  # nothing was computed for the request itself


def test_several_candidates_are_offered_to_who_asks_by_hand() -> None:
    with start(options={**OPTIONS, "candidates": 3}) as client:
        client.open(URI, SHAPES)
        lines = list(enumerate(SHAPES.splitlines()))
        replies = [ask(client, URI, (number, len(line))) for number, line in lines if line.strip()]
        several = [reply["items"] for reply in replies if reply and len(reply["items"]) > 1]
        assert several
        for items in several:
            assert len({item["insertText"] for item in items}) == len(items) <= 3
            assert [item["command"]["arguments"][1] for item in items] == list(range(len(items)))
        accepted = several[0][-1]["command"]
        assert client.request("workspace/executeCommand", accepted) is None


def test_a_prefix_is_cached_before_the_first_request(server: LspClient) -> None:
    place = {"textDocument": {"uri": URI}, "position": {"line": 23, "character": 15}}
    server.notify("santa/cursor", place)
    deadline = time.monotonic() + TIMEOUT
    while not statistics(server)["prefixCache"]["built"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    ask(server, URI, (23, 15))
    assert statistics(server)["last"]["prefilledTokens"] <= 16


def test_a_keystroke_reuses_what_the_one_before_it_computed(server: LspClient) -> None:
    ask(server, URI, (22, 0))
    server.change(URI, 2, "    lengths = [", (22, 0))
    ask(server, URI, (22, 15))
    found = statistics(server)
    assert found["last"]["prefilledTokens"] <= 16
    assert (
        found["last"]["reusedTokens"]
        == found["last"]["promptTokens"] - (found["last"]["prefilledTokens"])
    )
    assert found["prefixCache"]["built"] >= 1
    assert found["prefixCache"]["bytes"] > 0


def test_an_overtaken_and_a_cancelled_request_are_superseded(server: LspClient) -> None:
    ask(server, URI, (0, 0))
    by_hand = {"context": {"triggerKind": 1}}
    first, second = (server.inline_completion(URI, (3, 11), **by_hand) for _ in range(2))
    server.result(first)
    server.result(second)
    cancelled = server.inline_completion(URI, (4, 0), **by_hand)
    server.cancel(cancelled)
    server.error(cancelled)
    found = statistics(server)
    assert found["requests"] == 4
    assert found["superseded"] >= 1  # two, unless the first was answered before the second came
    assert sum(found["answered"].values()) + found["dropped"] + found["superseded"] == 4
