"""Messages out of a byte stream, with the oddities of real clients, and into one."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

log = logging.getLogger(__name__)

#: Bytes of a header line at most; more without a line end is noise.
MAX_HEADER = 8192

#: Bytes of a body at most. A larger Content-Length is treated as wrong.
MAX_BODY = 1 << 30

#: Bytes that a `Content-Length` line fits in.
LENGTH_LINE = 80

_INCOMPLETE = object()


@dataclass(frozen=True, slots=True)
class Malformed:
    """Replaces bytes that were no message in the stream; `reason` quotes none of them."""

    reason: str


def decode(body: bytes | str) -> object:
    """The JSON value of a body (bytes are UTF-8), or `Malformed`."""
    try:
        return json.loads(body.decode("utf-8") if isinstance(body, bytes) else body)
    except RecursionError:
        return Malformed("JSON nested too deeply")
    except ValueError as error:  # of JSON and of UTF-8; their texts give a position, no content
        return Malformed(str(error))


class Framing:
    """Cuts a byte stream into messages by their headers. Does no I/O itself.

    Header names may be in any case, unknown headers and stray blank lines are skipped. When a
    length is missing or wrong, `Malformed` replaces the message and reading goes on at the next
    `Content-Length` line. It is found also inside an unfinished body, for JSON allows no raw line
    end in a string and no such words outside one.
    """

    _LENGTH = re.compile(rb"content-length[ \t]*:[ \t]*(\d{1,18})[ \t\r]*$", re.IGNORECASE)
    _HEADER = re.compile(rb"[A-Za-z][A-Za-z0-9-]*[ \t]*:")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._length: int | None = None
        self._in_body = False
        self._header_seen = False
        self._scanned = 0  # bytes of the body searched for a header: each is looked at once
        self._skipped = 0

    def feed(self, data: bytes) -> Iterator[object]:
        """The messages (JSON values or `Malformed`) that these bytes complete."""
        self._buffer += data
        while True:
            if not self._in_body:
                yield from self._read_headers()
            if not self._in_body:
                return
            message = self._read_body()
            if message is _INCOMPLETE:
                return
            yield message

    def _read_headers(self) -> Iterator[Malformed]:
        """Consume header lines until a body begins or the bytes run out."""
        while (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end]).strip()
            del self._buffer[: end + 1]
            if found := self._LENGTH.search(line):
                self._skipped += found.start()
                self._length = int(found[1])
            elif self._HEADER.match(line):
                self._header_seen = True
            elif line:
                self._skipped += len(line)
            elif self._length is not None and self._length <= MAX_BODY:
                self._in_body, self._scanned, self._header_seen = True, 0, False
                if self._skipped:
                    log.warning("skipped %d bytes to reach a message header", self._skipped)
                    self._skipped = 0
                return
            elif self._length is not None or self._header_seen:
                self._length, self._header_seen = None, False
                yield Malformed("headers without a usable Content-Length")
        if (surplus := len(self._buffer) - MAX_HEADER) > 0:
            self._skipped += surplus
            del self._buffer[:surplus]

    def _read_body(self) -> object:
        """The message whose body is complete, or `_INCOMPLETE` (None is a JSON value)."""
        assert self._length is not None
        while (end := self._buffer.find(b"\n", self._scanned, self._length)) >= 0:
            found = self._LENGTH.search(self._buffer, max(0, end - LENGTH_LINE), end)
            self._scanned = end + 1
            if found:
                self._skipped += found.start()
                del self._buffer[: found.start()]
                self._in_body, self._length = False, None
                return Malformed("Content-Length is too large")
        if len(self._buffer) < self._length:
            self._scanned = len(self._buffer)
            return _INCOMPLETE
        body = bytes(self._buffer[: self._length])
        message = decode(body)
        self._in_body, self._length = False, None
        if not isinstance(message, Malformed):
            del self._buffer[: len(body)]
        # A body that is no JSON stays in the buffer: its length may be wrong, and the next header
        # may begin inside it. The header reader skips it as noise, so no message is read twice.
        return message


def read_messages(read: Callable[[], bytes]) -> Iterator[object]:
    """Messages from `read`, which blocks and returns `b""` at the end of the stream."""
    framing = Framing()
    while data := read():
        yield from framing.feed(data)


def with_header(body: bytes) -> bytes:
    """The bytes of a message on a stream."""
    return b"Content-Length: %d\r\n\r\n" % len(body) + body
