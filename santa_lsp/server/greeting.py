"""The reply to `initialize`, without pygls, because an editor waits for it at the start.

It equals pygls's reply for the handlers of santa_lsp.server, with one exception: a client with
inline completion is not offered the completion list. tests/test_greeting.py compares the two.
"""

from __future__ import annotations

from typing import Any

from santa_lsp import __version__

#: Our extensions (docs/protocol.md): `streaming` sends a growing completion under the request's
#: partialResultToken, `status` sends santa/status to clients that declare it themselves, `cursor`
#: takes santa/cursor (TextDocumentPositionParams) when the cursor moves without an edit.
EXPERIMENTAL = {"santa": {"streaming": True, "status": True, "cursor": True}}

#: The units that `Position.character` may count.
ENCODINGS = ("utf-8", "utf-16", "utf-32")


def greet(params: object) -> dict[str, Any] | None:
    """The InitializeResult for these InitializeParams (both JSON); None when they are invalid."""
    capabilities = params.get("capabilities") if isinstance(params, dict) else None
    if not isinstance(capabilities, dict):
        return None
    general = capabilities.get("general") or {}
    notebook = capabilities.get("notebookDocument")
    if not isinstance(general, dict) or not isinstance(notebook, dict | None):
        return None
    encodings = general.get("positionEncodings") or []
    if not isinstance(encodings, list):
        return None
    offered: dict[str, Any] = {
        "positionEncoding": next((each for each in encodings if each in ENCODINGS), "utf-16"),
        "textDocumentSync": {"openClose": True, "change": 2, "save": False},
        "executeCommandProvider": {
            "commands": [
                "santa.accepted",
                "santa.why",
                "santa.statistics",
                "santa.restart",
                "santa.selectModel",
            ]
        },
        "inlineCompletionProvider": {},
        "workspace": {
            "workspaceFolders": {"supported": True, "changeNotifications": True},
            "fileOperations": {},
        },
        "experimental": EXPERIMENTAL,
    }
    if _wants_fallback(capabilities, params):
        offered["completionProvider"] = {}
    if notebook is not None:
        offered["notebookDocumentSync"] = {"notebookSelector": [{"notebook": "*"}]}
    return {
        "capabilities": offered,
        "serverInfo": {"name": "santa-lsp", "version": __version__},
    }


def _wants_fallback(capabilities: dict[str, Any], params: object) -> bool:
    """Whether the client has no inline completion and its options allow the list."""
    options = params.get("initializationOptions") if isinstance(params, dict) else None
    if isinstance(options, dict) and options.get("fallbackCompletion") is False:
        return False
    text_document = capabilities.get("textDocument")
    return not (isinstance(text_document, dict) and "inlineCompletion" in text_document)
