"""How a session of the real process begins, while the libraries under the server are imported."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.lsp_client import LspClient, LspError

URI = "file:///a.py"

#: The command, in a process that cannot import pygls or lsprotocol before a file exists.
HELD_BACK = """
import os, sys, time

class Gate:
    def find_spec(self, name, path=None, target=None):
        if name in ("pygls", "lsprotocol"):
            while not os.path.exists(os.environ["GATE"]):
                time.sleep(0.01)

sys.meta_path.insert(0, Gate())
from santa_lsp.commands.main import main
main(["--stdio"])
"""

OpenGate = Callable[[], None]


@pytest.fixture
def held_back(tmp_path: Path) -> Iterator[tuple[LspClient, OpenGate]]:
    """A server whose libraries are imported when the function is called."""
    gate = tmp_path / "gate"
    env = {**os.environ, "GATE": str(gate)}
    with LspClient.start([sys.executable, "-c", HELD_BACK], env=env) as client:
        yield client, gate.touch


def test_initialize_is_answered_before_pygls_is_imported(
    held_back: tuple[LspClient, OpenGate],
) -> None:
    client, open_gate = held_back
    capabilities = client.initialize(encodings=["utf-8"])["capabilities"]
    assert capabilities["positionEncoding"] == "utf-8"
    assert capabilities["experimental"]["santa"] == {
        "streaming": True,
        "status": True,
        "cursor": True,
    }
    open_gate()
    client.request("workspace/executeCommand", {"command": "santa.why"})
    assert not any(client.replies.values())  # the reply was not sent again
    # The request is over for pygls as well: its id can be used for another.
    client.send_request("workspace/executeCommand", {"command": "santa.why"}, msg_id=1)
    assert isinstance(client.result(1), str)
    assert client.close() == 0


def test_what_comes_meanwhile_is_not_lost(held_back: tuple[LspClient, OpenGate]) -> None:
    client, open_gate = held_back
    client.initialize(options={"exclude": ["a.py"]}, encodings=["utf-8"])
    client.open(URI, "é = 1\n")
    client.change(URI, 2, "x", (0, 2), (0, 6))
    asked = client.inline_completion(URI, (0, 3))
    open_gate()
    assert client.result(asked) is None
    why = client.request("workspace/executeCommand", {"command": "santa.why"})
    assert "exclude" in why  # so the document was open, and the options had been taken
    with pytest.raises(LspError) as caught:
        client.request("initialize", {"capabilities": {}})
    assert caught.value.code == -32600  # it has been initialized


@pytest.mark.parametrize(
    ("shut_down", "hang_up", "status"),
    [(False, False, 1), (False, True, 1), (True, False, 0), (True, True, 0)],
)
def test_leaving_at_once(
    held_back: tuple[LspClient, OpenGate], shut_down: bool, hang_up: bool, status: int
) -> None:
    client, open_gate = held_back
    client.initialize()
    if shut_down:
        client.send_request("shutdown", msg_id="shutdown")
    if hang_up:
        client.hang_up()
    else:
        client.notify("exit")
    open_gate()
    assert client.wait() == status
    if shut_down:
        assert client.result("shutdown") is None


def test_a_greeting_that_cannot_be_kept_ends_the_session(
    held_back: tuple[LspClient, OpenGate],
) -> None:
    """The reply was sent, and then lsprotocol refuses the request: nobody is left waiting."""
    client, open_gate = held_back
    client.initialize(capabilities={"notebookDocument": {"SECRET": "not known"}})
    open_gate()
    assert client.wait() == 1
    told = client.wait_for("window/showMessage")
    assert told["type"] == 1
    assert "initialize" in told["message"]
    assert "message failed" in client.stderr
    assert "SECRET" not in client.stderr


@pytest.fixture
def client() -> Iterator[LspClient]:
    with LspClient.start([sys.executable, "-m", "santa_lsp", "--stdio"]) as client:
        yield client


def test_a_malformed_first_message_costs_one_message_only(client: LspClient) -> None:
    client.send_raw(b"Content-Length: 5\r\n\r\n{bad}")
    assert client.error(None) == -32700
    assert client.initialize()["serverInfo"]["name"] == "santa-lsp"
    assert client.close() == 0


def test_initialize_comes_first(client: LspClient) -> None:
    with pytest.raises(LspError) as caught:
        client.request("workspace/executeCommand", {"command": "santa.why"})
    assert caught.value.code == -32002
    assert client.initialize()["serverInfo"]["name"] == "santa-lsp"
    assert client.close() == 0


def test_an_initialize_that_is_not_understood_is_refused_as_ever(client: LspClient) -> None:
    with pytest.raises(LspError) as caught:
        client.request("initialize", {"capabilities": 5})
    assert caught.value.code == -32602
    assert client.initialize()["serverInfo"]["name"] == "santa-lsp"
    assert client.close() == 0
