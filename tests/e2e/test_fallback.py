"""Editors without inline completion are served in the ordinary list."""

from __future__ import annotations

from tests.e2e.test_server import SHAPES, URI, first_completion, start


def test_the_list_has_what_would_have_been_shown_inline() -> None:
    with start() as client:
        client.open(URI, SHAPES)
        (line, column), inline = first_completion(client, URI, SHAPES)
        place = {"line": line, "character": column}
        params = {"textDocument": {"uri": URI}, "position": place, "context": {"triggerKind": 1}}
        found = client.request("textDocument/completion", params)
        assert found["isIncomplete"]
        [item] = found["items"]
        before = SHAPES.splitlines()[line][:column]
        edit = item["textEdit"]
        start_column = edit["range"]["start"]["character"]
        assert before[:start_column] + edit["newText"] == before + inline["insertText"]
        assert edit["range"]["end"] == place
        assert item["filterText"] == edit["newText"]  # what has been typed of the word matches it
        assert edit["newText"].strip().startswith(item["label"].rstrip("…"))
        assert item["command"] == inline["command"]
