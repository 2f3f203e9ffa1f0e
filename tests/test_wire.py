"""The wire before and after its server is there."""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator
from typing import Any

import pytest

from santa_lsp.protocol.framing import Malformed
from santa_lsp.protocol.wire import END, Greet, Greeted, Wire

INITIALIZE = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"capabilities": {}}}
OPEN = {"jsonrpc": "2.0", "method": "textDocument/didOpen"}
TIMEOUT = 60


def hello(params: object) -> dict[str, Any]:
    return {"you said": params}


class Peer:
    """The other end of a wire: `heard` is what it was sent, `received` what the server got."""

    def __init__(self, greet: Greet | None = hello) -> None:
        self.messages: queue.Queue[object] = queue.Queue()
        self.heard: list[Any] = []
        self.lost = False
        self.received: queue.Queue[object] = queue.Queue()
        self.wire = Wire(self._say(), self._hear, greet)

    def _say(self) -> Iterator[object]:
        while (message := self.messages.get()) is not END:
            if isinstance(message, Exception):
                raise message
            yield message
            self.messages.task_done()  # it has been passed on

    def _hear(self, body: bytes) -> None:
        if self.lost:
            raise BrokenPipeError
        self.heard.append(json.loads(body))

    def say(self, *messages: object) -> None:
        for message in messages:
            self.messages.put(message)

    def attach(self) -> None:
        self.wire.attach(self.received.put)

    def next(self) -> object:
        return self.received.get(timeout=TIMEOUT)


def test_a_client_is_greeted_before_there_is_a_server() -> None:
    peer = Peer()
    peer.say(INITIALIZE, OPEN)
    peer.messages.join()
    reply = {"jsonrpc": "2.0", "id": 1, "result": {"you said": {"capabilities": {}}}}
    assert peer.heard == [reply]
    peer.attach()
    assert peer.next() == Greeted(INITIALIZE)
    assert peer.next() == OPEN


def test_messages_keep_their_order_while_the_server_comes() -> None:
    peer = Peer()
    peer.say(*range(500))
    peer.attach()
    peer.say(*range(500, 1000), END)
    assert [peer.next() for _ in range(1000)] == list(range(1000))
    assert peer.next() is END
    assert peer.wire.ended.is_set()


@pytest.mark.parametrize(
    "first",
    [
        Malformed("no JSON"),
        None,
        [INITIALIZE],
        {**INITIALIZE, "id": None},
        {**INITIALIZE, "id": True},
        {**INITIALIZE, "id": 1.5},
        {**INITIALIZE, "jsonrpc": "1.0"},
        {**INITIALIZE, "method": "shutdown"},
        {"jsonrpc": "2.0", "method": "initialize", "params": {}},
    ],
    ids=repr,
)
def test_anything_else_is_left_to_the_server(first: object) -> None:
    peer = Peer()
    peer.say(first, INITIALIZE)  # nor is an initialize greeted that did not come first
    peer.attach()
    assert [peer.next(), peer.next()] == [first, INITIALIZE]
    assert peer.heard == []


@pytest.mark.parametrize("greet", [None, lambda params: None], ids=["no greeting", "declined"])
def test_the_server_replies_where_there_is_no_greeting(greet: Greet | None) -> None:
    peer = Peer(greet)
    peer.say(INITIALIZE)
    peer.attach()
    assert peer.next() == INITIALIZE
    assert peer.heard == []


def test_a_connection_that_breaks_has_ended() -> None:
    peer = Peer()
    peer.say(OPEN, ConnectionResetError())
    peer.attach()
    assert [peer.next(), peer.next()] == [OPEN, END]


def test_a_client_that_no_longer_listens_has_ended() -> None:
    peer = Peer()
    peer.attach()
    peer.lost = True
    peer.wire.write(b"{}")
    assert peer.next() is END
    assert peer.wire.ended.is_set()
    peer.say(END)
