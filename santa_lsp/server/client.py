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
    """What the server says to one editor, as far as the editor can hear it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        #: The client says `experimental.santa.status`.
        self.wants_status = False

    def take_capabilities(self, capabilities: types.ClientCapabilities) -> None:
        """What the client says it can do beyond the protocol."""
        experimental = capabilities.experimental
        santa = experimental.get("santa") if isinstance(experimental, dict) else None
        self.wants_status = isinstance(santa, dict) and bool(santa.get("status"))

    def warn(self, message: str) -> None:
        """Tell the user of something that is not as it should be, in the editor and in the log."""
        self._say(types.MessageType.Warning, message)

    def fail(self, message: str) -> None:
        """Tell the user that something cannot be done, in the editor and in the log."""
        self._say(types.MessageType.Error, message)

    def _say(self, kind: types.MessageType, message: str) -> None:
        level = logging.ERROR if kind == types.MessageType.Error else logging.WARNING
        log.log(level, "%s", message)
        self._server.window_show_message(types.ShowMessageParams(kind, f"santa-lsp: {message}"))

    def send_status(self, status: dict[str, Any]) -> None:
        """`santa/status`, to clients that want it."""
        if self.wants_status:
            self._server.protocol.notify("santa/status", status)

    def send_partial_result(
        self, token: types.ProgressToken, item: types.InlineCompletionItem
    ) -> None:
        """The completion as far as it has grown."""
        value = types.InlineCompletionList([item])
        self._server.protocol.notify(types.PROGRESS, types.ProgressParams(token, value))

    @asynccontextmanager
    async def progress(self, title: str) -> AsyncIterator[None]:
        """A progress bar in the editor, where there can be one."""
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
        except Exception:  # the client refused or never answered: loading goes on without progress
            return None
        progress.begin(token, types.WorkDoneProgressBegin(title, cancellable=False))
        return token

    async def pull_options(self) -> object | None:
        """The `santa` section of a client that can be asked for it; None where there is none."""
        workspace = self._server.client_capabilities.workspace
        if workspace is None or not workspace.configuration:
            return None
        items = [types.ConfigurationItem(section="santa")]
        params = types.ConfigurationParams(items)
        answer = await self._server.workspace_configuration_async(params)
        return answer[0] if answer else None
