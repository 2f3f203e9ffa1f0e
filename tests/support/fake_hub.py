"""A local HTTP server that answers as the Hugging Face hub does, with files made by the tests."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
#: Files of at least this size are large files there, with a sha256 of their own.
LARGE = 10_000


@dataclass
class Hub:
    """What the server has and how it behaves; tests change it while it runs."""

    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    cards: dict[str, dict[str, object]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    token: str = "hf_secret"
    #: Bytes of a file after which the network fails, one number for each of the next answers.
    cuts: dict[str, list[int]] = field(default_factory=dict)
    #: Statuses to answer with instead of files.
    fail_with: int | None = None
    #: What is sent in place of a file's bytes.
    damaged: dict[str, bytes] = field(default_factory=dict)
    #: (path, start of the range) of each file that was asked for.
    requests: list[tuple[str, int]] = field(default_factory=list)
    url: str = ""


def describe(hub: Hub, hub_id: str) -> dict[str, object]:
    """The answer of /api/models with blobs=True."""
    siblings = []
    for name, data in hub.files[hub_id].items():
        blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        entry: dict[str, object] = {"rfilename": name, "size": len(data), "blobId": blob}
        if len(data) >= LARGE:
            sha256 = hashlib.sha256(data).hexdigest()
            entry["lfs"] = {"sha256": sha256, "size": len(data), "pointerSize": 130}
        siblings.append(entry)
    return {
        "id": hub_id,
        "modelId": hub_id,
        "sha": COMMIT,
        "private": False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "gated": "auto" if hub_id in hub.gated else False,
        "cardData": hub.cards.get(hub_id),
        "siblings": siblings,
    }


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        parts = urlsplit(self.path).path.strip("/").split("/")
        api = parts[:2] == ["api", "models"]
        if api:
            parts = parts[2:]
        hub_id, rest = "/".join(parts[:2]), parts[2:]
        if hub_id not in self.hub.files:
            return self._refuse(401, "RepoNotFound")
        revision = rest[1] if len(rest) > 1 else "main"
        if revision not in ("main", "v1", COMMIT):
            return self._refuse(404, "RevisionNotFound")
        if api:
            return self._send(json.dumps(describe(self.hub, hub_id)).encode(), body)
        if self.hub.fail_with:
            return self._refuse(self.hub.fail_with, "")
        if hub_id in self.hub.gated and self.headers.get("Authorization") != self._bearer():
            return self._refuse(403 if self.headers.get("Authorization") else 401, "GatedRepo")
        self._send_file("/".join(rest[2:]), hub_id, body)

    def _bearer(self) -> str:
        return f"Bearer {self.hub.token}"

    def _send_file(self, name: str, hub_id: str, body: bool) -> None:
        data = self.hub.files[hub_id].get(name)
        if data is None:
            return self._refuse(404, "EntryNotFound")
        data = self.hub.damaged.get(name, data)
        start = 0
        if asked := self.headers.get("Range"):
            start = int(asked.removeprefix("bytes=").partition("-")[0])
        if body:
            self.hub.requests.append((name, start))
        cuts = self.hub.cuts.get(name) if body else None
        self._send(data, body, start, cuts.pop(0) if cuts else None)

    def _send(self, data: bytes, body: bool, start: int = 0, cut: int | None = None) -> None:
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.end_headers()
        if body:
            self.wfile.write(data[start:][:cut])
            self.close_connection = cut is not None

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


def start(hub: Hub) -> ThreadingHTTPServer:
    """Serve `hub` on a free port, whose address goes into `hub.url`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server
