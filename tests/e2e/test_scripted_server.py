"""The server that editor tests put in the real one's place says what it is told to."""

from __future__ import annotations

from pathlib import Path

from tests.e2e import scripted_server
from tests.support.lsp_client import LspClient


def test_it_says_its_text(tmp_path: Path) -> None:
    program = scripted_server.program(tmp_path, "it's me")
    with LspClient.start([str(program), "--stdio"]) as client:
        client.initialize()
        client.open("file:///a.py", "name =")
        params = {
            "textDocument": {"uri": "file:///a.py"},
            "position": {"line": 0, "character": 6},
            "context": {"triggerKind": 1},
        }
        reply = client.request("textDocument/inlineCompletion", params)
    assert reply["items"][0]["insertText"] == "it's me"
