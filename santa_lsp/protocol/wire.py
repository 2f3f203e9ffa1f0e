"""One client's connection: its messages in order, and the way back. Standard library only."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

log = logging.getLogger(__name__)

#: From the params of `initialize` to its result, or None to leave the reply to the server.
Greet = Callable[[object], dict[str, Any] | None]

#: Follows the last message.
END: Final = object()


@dataclass(frozen=True, slots=True)
class Greeted:
    """Replaces an `initialize` request in the stream whose reply has been sent."""

    request: dict[str, Any]


class Wire:
    """Reads on a daemon thread from the start; messages wait for `attach`.

    So `greet` can answer the client while the server is imported. `messages` blocks, and may raise
    OSError; `send` takes the body of one message.
    """

    def __init__(
        self,
        messages: Iterable[object],
        send: Callable[[bytes], object],
        greet: Greet | None = None,
    ) -> None:
        self.ended = threading.Event()
        self._send = send
        self._sending = threading.Lock()
        self._greet = greet
        self._early: list[object] = []
        self._deliver: Callable[[object], object] = self._early.append
        self._delivering = threading.Lock()
        threading.Thread(target=self._read, args=(messages,), name="reader", daemon=True).start()

    def attach(self, deliver: Callable[[object], object]) -> None:
        """Deliver the messages so far, and later ones on the reading thread; `END` is the last."""
        with self._delivering:
            for message in self._early:
                deliver(message)
            self._early.clear()
            self._deliver = deliver

    def write(self, body: bytes) -> None:
        """Send now, from any thread. If the client has gone, the session ends."""
        try:
            with self._sending:
                self._send(body)
        except (OSError, ValueError) as error:
            log.info("the client is gone (%s)", type(error).__name__)
            self._end()

    def close(self) -> None:
        """For pygls's interface of a writer; the process's end closes the connection."""

    def _read(self, messages: Iterable[object]) -> None:
        try:
            for number, message in enumerate(messages):
                self._pass_on(self._answer(message) if number == 0 else message)
        except OSError as error:
            log.info("the client is gone (%s)", type(error).__name__)
        finally:
            self._end()

    def _answer(self, message: object) -> object:
        """`Greeted` for an initialize request to which `greet` has a reply; else the message."""
        if self._greet is None or not isinstance(message, dict):
            return message
        match message:
            case {"jsonrpc": "2.0", "id": str() | int() as msg_id, "method": "initialize"} if (
                not isinstance(msg_id, bool)
                and (result := self._greet(message.get("params"))) is not None
            ):
                reply = {"jsonrpc": "2.0", "id": msg_id, "result": result}
                self.write(json.dumps(reply, separators=(",", ":")).encode("ascii"))
                return Greeted(message)
        return message

    def _pass_on(self, message: object) -> None:
        with self._delivering:
            self._deliver(message)

    def _end(self) -> None:
        self.ended.set()
        self._pass_on(END)
