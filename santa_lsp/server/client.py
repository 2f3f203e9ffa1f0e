"""The way back to the editor: messages, progress, status, partial results, questions."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from lsprotocol import types

from santa_lsp.protocol.loop import Server

log = logging.getLogger(__name__)

#: Seconds that a client may take to accept a progress bar.
PROGRESS_TIMEOUT = 5


class Client:
    """Sends to one editor. A message that the editor cannot take is left out."""

    def __init__(self, server: Server) -> None:
        self._server = server
        #: The client has declared `experimental.santa.status`.
        self.wants_status = False

    def take_capabilities(self, capabilities: types.ClientCapabilities) -> None:
        """Read the capabilities that the client declares beyond LSP."""
        experimental = capabilities.experimental
        santa = experimental.get("santa") if isinstance(experimental, dict) else None
        self.wants_status = isinstance(santa, dict) and bool(santa.get("status"))

    def warn(self, message: str) -> None:
        """Tell the user of a problem that the server works around, in the editor and in the log."""
        self._say(types.MessageType.Warning, message)

    def fail(self, message: str) -> None:
        """Tell the user of a failure, in the editor and in the log."""
        self._say(types.MessageType.Error, message)

    def _say(self, kind: types.MessageType, message: str) -> None:
        level = logging.ERROR if kind == types.MessageType.Error else logging.WARNING
        log.log(level, "%s", message)
        self._server.window_show_message(types.ShowMessageParams(kind, f"santa-lsp: {message}"))

    def send_status(self, status: dict[str, Any]) -> None:
        """Send `santa/status` to a client that has declared it."""
        if self.wants_status:
            self._server.protocol.notify("santa/status", status)

    def send_partial_result(
        self, token: types.ProgressToken, item: types.InlineCompletionItem
    ) -> None:
        """Send the completion generated so far under the request's partialResultToken."""
        value = types.InlineCompletionList([item])
        self._server.protocol.notify(types.PROGRESS, types.ProgressParams(token, value))

    @asynccontextmanager
    async def progress(self, title: str) -> AsyncIterator[None]:
        """Show a progress bar, if the editor has any, while the block runs."""
        token = await self._begin_progress(title)
        try:
            yield
        finally:
            if token is not None:
                self._server.work_done_progress.end(token, types.WorkDoneProgressEnd())

    async def _begin_progress(self, title: str) -> str | None:
        window = self._server.client_capabilities.window
        if window is None or not window.work_done_progress:
            return None
        progress = self._server.work_done_progress
        token = f"santa-load-{time.monotonic_ns()}"
        try:
            await asyncio.wait_for(progress.create_async(token), timeout=PROGRESS_TIMEOUT)
        except Exception:  # the client refused or did not answer: load without a progress bar
            return None
        progress.begin(token, types.WorkDoneProgressBegin(title, cancellable=False))
        return token

    async def pull_options(self) -> object | None:
        """Ask the client for its `santa` section; None if it has none or cannot be asked."""
        workspace = self._server.client_capabilities.workspace
        if workspace is None or not workspace.configuration:
            return None
        items = [types.ConfigurationItem(section="santa")]
        params = types.ConfigurationParams(items)
        answer = await self._server.workspace_configuration_async(params)
        return answer[0] if answer else None
