"""Plays a session against a server as an editor would, and keeps each request with its outcome.

As in VS Code, every change sends a request and cancels the one before if that is still open. A
shown completion stays while the user types through it. After each reply the server is asked for its
statistics (`santa.statistics`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from santa_lsp.bench.client import STATISTICS, Call, Client
from santa_lsp.bench.connection import TIMEOUT
from santa_lsp.bench.positions import offset_of, position_of
from santa_lsp.bench.session import Session
from santa_lsp.bench.typist import Edit, Key, Kind, Typist

#: Characters of a completion from which a person takes it.
LEAST_ACCEPTED = 3

#: Seconds that a person waits for a completion asked for by hand.
PATIENCE = 2.0


@dataclass(frozen=True, slots=True)
class Pace:
    """The timing of a session.

    `waits`: each key waits for the answer before it, without pauses; else keys come at their times.
    `notices`: seconds that a completion must be on the screen before a person takes it instead of
    typing the same; None: only an `accept` step takes one.
    """

    name: str
    waits: bool
    notices: float | None


REAL = Pace("real", waits=False, notices=0.3)
FAST = Pace("fast", waits=True, notices=None)


@dataclass(eq=False, slots=True)
class Request:
    """One request and its outcome. `text` and `cursor` are those at its sending.

    `rest` was left to type of the step, `shown` is the text that the reply offers to insert at the
    cursor, `statistics` are the server's counters after the reply.
    """

    session: str
    kind: Kind
    text: str
    cursor: int
    rest: str
    call: Call = field(init=False)
    statistics: dict[str, Any] | None = None
    shown: str | None = None
    accepted: bool = False

    @property
    def ms(self) -> float | None:
        """Milliseconds until the reply; None when the user typed on before."""
        return None if self.call.cancelled else self.call.milliseconds

    @property
    def last(self) -> dict[str, Any]:
        """`last` of the statistics after this request; empty if there are none."""
        if self.call.cancelled or self.statistics is None:
            return {}
        return self.statistics.get("last") or {}


@dataclass(slots=True)
class _Screen:
    """A completion on the screen, with its request and the time since when it is there.

    It replaces the text from `start` to `beyond` characters after the cursor.
    """

    request: Request
    since: float
    start: int
    beyond: int
    text: str


class Replay:
    """One session in one document of a running server. `requests` grows as it is played."""

    def __init__(
        self, client: Client, session: Session, pace: Pace, *, seed: int = 0, uri: str = ""
    ) -> None:
        self.typist = Typist(session, seed)
        self.requests: list[Request] = []
        self._client, self._session, self._pace = client, session, pace
        self._uri = uri or f"file:///bench/{pace.name}/{session.file}"
        self._version = 1
        self._open: Request | None = None  # the last request, until `_settle` has its reply
        self._screen: _Screen | None = None

    def play(self, seconds: float = math.inf) -> Iterator[Key]:
        """Press the keys of so many seconds, at least up to a first request; yield each of them.

        Raises BenchError and NoReplyError.
        """
        self._client.open(self._uri, self.typist.text, language=self._session.language)
        due = started = time.perf_counter()
        for key in self.typist.keystrokes():
            due = max(due + key.delay, time.perf_counter())
            if self._takes(key, due):
                self._accept()
                due = time.perf_counter()
            else:
                self._press(key)
            yield key
            if self.requests and time.perf_counter() - started > seconds:
                break
        self._settle(TIMEOUT)
        for request in self.requests:
            self._client.wait_for(request.call)
            if self._client.has_statistics:
                self._client.wait_until(partial(getattr, request, "statistics"), STATISTICS)
        self._client.close_document(self._uri)

    def _takes(self, key: Key, due: float) -> bool:
        """Wait until the key is due; true if the person takes a completion before."""
        if self._pace.waits:
            self._settle(TIMEOUT)
            return self._wants(key)
        while (left := due - time.perf_counter()) > 0:
            self._settle(left)
            if not self._wants(key):
                time.sleep(max(0.0, due - time.perf_counter()))
                break
            assert self._screen is not None
            if key.kind == "accept":
                break
            taken = self._screen.since + (self._pace.notices or 0.0)
            time.sleep(max(0.0, min(taken, due) - time.perf_counter()))
            return taken <= due
        if key.kind == "accept":
            self._settle(PATIENCE)
            return self._wants(key)
        return False

    def _wants(self, key: Key) -> bool:
        """Whether a person with time to look takes the shown completion instead of this key."""
        if self._screen is None:
            return False
        if key.kind == "type" and self._pace.notices is not None:
            new = self._screen.text[self.typist.cursor - self._screen.start :]
            return len(new) >= LEAST_ACCEPTED and self.typist.rest.startswith(new)
        return key.kind == "accept"

    def _press(self, key: Key) -> None:
        self._settle(0.0)
        before = self.typist.text
        edit = key.press()
        self._send(key.kind, before, edit)

    def _accept(self) -> None:
        """Take the shown completion, and execute the item's command."""
        screen = self._screen
        assert screen is not None
        screen.request.accepted = True
        before, cursor = self.typist.text, self.typist.cursor
        edit = self.typist.accept(screen.start, cursor + screen.beyond, screen.text)
        self._send("accept", before, edit)
        self._client.execute("santa.accepted")

    def _send(self, kind: Kind, before: str, edit: Edit | None) -> None:
        """Send an edit, and request the next completion."""
        if edit is not None:
            self._version += 1
            start, end = (
                position_of(before, offset, self._client.encoding)
                for offset in (edit.start, edit.end)
            )
            self._client.change(self._uri, self._version, edit.text, start, end)
        if self._open is not None:
            self._client.cancel(self._open.call)
            self._open = None
        if self._screen is not None and not self._is_typed_through(self._screen):
            self._screen = None
        if edit is not None or kind == "ask":
            self._ask(kind)

    def _is_typed_through(self, screen: _Screen) -> bool:
        typed = self.typist.text[screen.start : self.typist.cursor]
        return screen.text.startswith(typed) and typed != screen.text

    def _ask(self, kind: Kind) -> None:
        typist = self.typist

        def account(call: Call) -> None:
            if self._client.has_statistics:
                self._client.execute(STATISTICS, then=keep)

        def keep(call: Call) -> None:
            request.statistics = (call.reply or {}).get("result")

        position = position_of(typist.text, typist.cursor, self._client.encoding)
        # Made before the call, for its reply may arrive before `inline_completion` returns.
        request = Request(self._session.name, kind, typist.text, typist.cursor, typist.rest)
        request.call = self._client.inline_completion(
            self._uri, position, invoked=kind == "ask", then=account
        )
        self._open = request
        self.requests.append(request)

    def _settle(self, timeout: float) -> None:
        """Wait that long at most for the open request's reply, and show its completion."""
        request = self._open
        if request is None or not self._client.answered(request.call, timeout):
            return
        self._open = None
        shown = self._screen
        self._screen = None
        if (item := request.call.item) is None:
            return
        start, end = (
            offset_of(request.text, (at["line"], at["character"]), self._client.encoding)
            for at in (item["range"]["start"], item["range"]["end"])
        )
        text: str = item["insertText"]
        request.shown = text[request.cursor - start :]
        assert request.call.replied is not None
        since = request.call.replied
        if shown is not None and (shown.start, shown.text) == (start, text):
            since = shown.since
        self._screen = _Screen(request, since, start, end - request.cursor, text)
