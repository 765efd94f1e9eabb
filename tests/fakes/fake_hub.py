# SPDX-License-Identifier: Apache-2.0
"""A fake of a Hugging Face hub's HTTP API: commits, trees in pages, `resolve`, files by redirect.

Large files lie on another port, as the hub's storage does on another host: a key that goes there
was given away, and is noted. Faults are used up one per request for content: `cut` (half of what
was asked for), `busy` (429), `error` (500), `bare` (no ranges: 200 and all of it).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any

_PAGE = 2
_LARGE_BYTES = 64


@dataclass
class Hub:
    files: dict[str, bytes]
    model: str = "org/model"
    commit: str = "c0ffee" + "0" * 34
    token: str | None = None
    faults: list[str] = field(default_factory=list)
    lies: dict[str, bytes] = field(default_factory=dict)
    """Content that is served in place of a file's own."""
    content: list[tuple[str, str | None]] = field(default_factory=list)
    """What was asked of files: the path and the range."""
    leaked: list[str] = field(default_factory=list)
    """Keys that the storage was sent."""
    asked: list[str] = field(default_factory=list)
    url: str = ""
    storage_url: str = ""

    def tree(self) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = [{"type": "directory", "path": "sub", "size": 0}]
        for path, data in self.files.items():
            git = hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()
            entry: dict[str, Any] = {"type": "file", "path": path, "size": len(data), "oid": git}
            if len(data) >= _LARGE_BYTES:
                entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data)}
            entries.append(entry)
        return entries


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    is_storage = False
    cut = False

    def do_GET(self) -> None:
        hub, path = self.hub, self.path.partition("?")[0]
        hub.asked.append(self.path)
        if self.is_storage:
            if key := self.headers.get("Authorization"):
                hub.leaked.append(key)
            self._content(path.removeprefix("/storage/"))
            return
        if hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
            self._answer(401, b"{}")
        elif path in (
            f"/api/models/{hub.model}/revision/main",
            f"/api/models/{hub.model}/revision/{hub.commit}",
        ):
            self._answer(200, json.dumps({"sha": hub.commit}).encode())
        elif path == f"/api/models/{hub.model}/tree/{hub.commit}":
            self._tree()
        elif path.startswith(prefix := f"/{hub.model}/resolve/{hub.commit}/"):
            self._resolve(path.removeprefix(prefix))
        else:
            self._answer(404, b"{}")

    def _tree(self) -> None:
        query = self.path.partition("?")[2]
        assert "recursive=true" in query
        start = int(query.partition("cursor=")[2] or 0)
        entries = self.hub.tree()
        headers = {}
        if start + _PAGE < len(entries):
            place = f"{self.hub.url}/api/models/{self.hub.model}/tree/{self.hub.commit}"
            headers["Link"] = f'<{place}?recursive=true&cursor={start + _PAGE}>; rel="next"'
        self._answer(200, json.dumps(entries[start : start + _PAGE]).encode(), headers)

    def _resolve(self, path: str) -> None:
        if path not in self.hub.files:
            self._answer(404, b"")
        elif len(self.hub.files[path]) >= _LARGE_BYTES:
            place = f"{self.hub.storage_url}/storage/{path}?signature=x"
            self._answer(302, b"", {"Location": place})
        else:
            self._content(path)

    def _content(self, path: str) -> None:
        hub, wanted = self.hub, self.headers.get("Range")
        data = hub.lies.get(path, hub.files[path])
        hub.content.append((path, wanted))
        is_probe = wanted == "bytes=0-0"
        fault = hub.faults.pop(0) if hub.faults and not is_probe else ""
        self.cut = fault == "cut"
        if fault in ("busy", "error"):
            headers = {"Retry-After": "0"} if fault == "busy" else {}
            self._answer(429 if fault == "busy" else 500, b"", headers)
            return
        if wanted is None or "bare" in hub.faults or fault == "bare":
            self._answer(200, data)
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last) + 1 if last else len(data), len(data))
        if start >= len(data):
            self._answer(416, b"")
            return
        span = f"bytes {start}-{end - 1}/{len(data)}"
        self._answer(206, data[start:end], {"Content-Range": span})

    def _answer(
        self, status: int, body: bytes, headers: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Half of it, where the fault says so; the length is that of all."""
        cut, self.cut = self.cut, False
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
        del format, args


@contextlib.contextmanager
def serving_hub(hub: Hub) -> Iterator[Hub]:
    """The hub and its storage on loopback, until the block ends."""
    with contextlib.ExitStack() as stack:
        for is_storage in (True, False):
            members = {"hub": hub, "is_storage": is_storage}
            handler = type("Handler", (_Handler,), members)
            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), handler))
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            # By another name for the same machine, it is another host.
            name = "localhost" if is_storage else "127.0.0.1"
            url = f"http://{name}:{server.server_address[1]}"
            if is_storage:
                hub.storage_url = url
            else:
                hub.url = url
        yield hub
