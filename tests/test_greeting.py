"""The reply to initialize without pygls is the one that pygls and the handlers would give."""

from __future__ import annotations

import json
from typing import Any

import pytest

from santa_lsp.server.greeting import greet
from santa_lsp.server.handlers import build_server
from santa_lsp.settings import Settings

VSCODE: dict[str, Any] = {
    "workspace": {
        "applyEdit": True,
        "workspaceEdit": {
            "documentChanges": True,
            "resourceOperations": ["create", "rename", "delete"],
            "failureHandling": "textOnlyTransactional",
            "normalizesLineEndings": True,
            "changeAnnotationSupport": {"groupsOnLabel": True},
        },
        "configuration": True,
        "didChangeConfiguration": {"dynamicRegistration": True},
        "didChangeWatchedFiles": {"dynamicRegistration": True, "relativePatternSupport": True},
        "executeCommand": {"dynamicRegistration": True},
        "workspaceFolders": True,
        "fileOperations": {
            "dynamicRegistration": True,
            "didCreate": True,
            "didRename": True,
            "didDelete": True,
            "willCreate": True,
            "willRename": True,
            "willDelete": True,
        },
        "diagnostics": {"refreshSupport": True},
    },
    "textDocument": {
        "synchronization": {
            "dynamicRegistration": True,
            "willSave": True,
            "willSaveWaitUntil": True,
            "didSave": True,
        },
        "completion": {
            "dynamicRegistration": True,
            "contextSupport": True,
            "completionItem": {"snippetSupport": True, "commitCharactersSupport": True},
            "completionItemKind": {"valueSet": list(range(1, 26))},
        },
        "inlineCompletion": {"dynamicRegistration": True},
        "rename": {"dynamicRegistration": True, "prepareSupport": True},
        "diagnostic": {"dynamicRegistration": True, "relatedDocumentSupport": False},
    },
    "window": {
        "workDoneProgress": True,
        "showMessage": {"messageActionItem": {"additionalPropertiesSupport": True}},
        "showDocument": {"support": True},
    },
    "general": {
        "staleRequestSupport": {
            "cancel": True,
            "retryOnContentModified": ["textDocument/semanticTokens/full"],
        },
        "regularExpressions": {"engine": "ECMAScript", "version": "ES2020"},
        "markdown": {"parser": "marked", "version": "1.1.0"},
        "positionEncodings": ["utf-16"],
    },
    "notebookDocument": {
        "synchronization": {"dynamicRegistration": True, "executionSummarySupport": True}
    },
    "experimental": {"santa": {"status": True}},
}

NEOVIM: dict[str, Any] = {
    "general": {"positionEncodings": ["utf-8", "utf-16", "utf-32"]},
    "textDocument": {
        "synchronization": {
            "dynamicRegistration": False,
            "willSave": True,
            "willSaveWaitUntil": True,
            "didSave": True,
        },
        "inlineCompletion": {"dynamicRegistration": True},
        "rename": {"dynamicRegistration": True, "prepareSupport": True},
    },
    "workspace": {
        "applyEdit": True,
        "configuration": True,
        "didChangeWatchedFiles": {"dynamicRegistration": False, "relativePatternSupport": True},
        "semanticTokens": {"refreshSupport": True},
        "workspaceFolders": True,
    },
    "window": {
        "workDoneProgress": True,
        "showMessage": {"messageActionItem": {"additionalPropertiesSupport": True}},
        "showDocument": {"support": True},
    },
}


def initialize(capabilities: object, **fields: object) -> dict[str, Any]:
    return {"processId": None, "rootUri": None, "capabilities": capabilities, **fields}


VSCODE_PARAMS, NEOVIM_PARAMS = initialize(VSCODE), initialize(NEOVIM)


def encodings(*names: str) -> dict[str, Any]:
    return {"general": {"positionEncodings": names}}


class Replies(list[dict[str, Any]]):
    """A writer for pygls."""

    def write(self, body: bytes) -> None:
        self.append(json.loads(body))

    def close(self) -> None:
        pass


def reply_of_pygls(params: object) -> dict[str, Any]:
    server = build_server(Settings())
    replies = Replies()
    server.protocol.set_writer(replies, include_headers=False)
    server.protocol.receive({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})
    [reply] = replies
    return reply


@pytest.mark.parametrize(
    "params",
    [
        initialize({}),
        {"capabilities": {}},
        initialize({"general": None, "notebookDocument": None, "workspace": None}),
        initialize({"general": {}}),
        initialize({"general": {"positionEncodings": None}}),
        initialize(encodings()),
        *(initialize(encodings(each)) for each in ("utf-8", "utf-16", "utf-32", "utf-7")),
        initialize(encodings("utf-32", "utf-8", "utf-16")),
        initialize(encodings("utf-16", "utf-8")),
        initialize(encodings("utf-7", "UTF-8", "utf-32", "utf-8")),
        initialize({"notebookDocument": {"synchronization": {}}}),
        initialize({"window": {"workDoneProgress": True}}),
        initialize({"workspace": {"workspaceFolders": True, "configuration": True}}),
        initialize({}, rootUri="file:///a", workspaceFolders=[{"uri": "file:///a", "name": "a"}]),
        initialize({}, rootPath="/a", processId=1, trace="verbose", locale="fr"),
        initialize({}, initializationOptions={"model": "x", "unknown": [1]}, workDoneToken=3),
        VSCODE_PARAMS,
        NEOVIM_PARAMS,
    ],
    ids=lambda params: json.dumps(params)[49:120],
)
def test_it_is_what_pygls_would_reply(params: dict[str, Any]) -> None:
    params = json.loads(json.dumps(params))
    expected = reply_of_pygls(params)["result"]
    if params in (VSCODE_PARAMS, NEOVIM_PARAMS):
        assert expected["capabilities"].pop("completionProvider") == {}
    assert greet(params) == expected


@pytest.mark.parametrize(
    ("params", "offered"),
    [
        (initialize({}), True),
        (initialize({"textDocument": {}}), True),
        (initialize({"textDocument": {"inlineCompletion": {}}}), False),
        (initialize({}, initializationOptions={"fallbackCompletion": False}), False),
        (initialize({}, initializationOptions={"fallbackCompletion": True}), True),
    ],
    ids=json.dumps,
)
def test_the_list_is_offered_to_clients_without_inline_completion(
    params: dict[str, Any], offered: bool
) -> None:
    reply = greet(params)
    assert reply is not None
    assert ("completionProvider" in reply["capabilities"]) == offered


@pytest.mark.parametrize(
    "params",
    [
        None,
        [],
        "x",
        {},
        initialize(None),
        initialize([]),
        initialize({"general": 5}),
        initialize({"general": {"positionEncodings": "utf-8"}}),
        initialize({"notebookDocument": True}),
    ],
    ids=repr,
)
def test_it_declines_what_it_does_not_understand(params: object) -> None:
    assert greet(params) is None
