# SPDX-License-Identifier: Apache-2.0
"""A real HTTP server on loopback that serves one file, and fails as it is told to."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Script:
    """What the server does: one entry of `faults` is used up per request, then it is sound.

    Faults: `cut` (half the body, then the connection closes), `busy` (429 with Retry-After: 0),
    `error` (500), `missing` (404).
    """

    body: bytes
    faults: list[str] = field(default_factory=list)
    ranges: bool = True
    requests: list[str | None] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    url: str = ""


@contextlib.contextmanager
def serving(script: Script) -> Iterator[Script]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            script.requests.append(wanted)
            script.paths.append(self.path)
            fault = script.faults.pop(0) if script.faults else ""
            if fault in ("busy", "error", "missing"):
                self.send_response({"busy": 429, "error": 500, "missing": 404}[fault])
                self.send_header("Retry-After", "0")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start = int(wanted.split("=")[1].rstrip("-")) if wanted and script.ranges else 0
            body = script.body[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if fault == "cut" else body)
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        script.url = f"http://127.0.0.1:{server.server_address[1]}/file"
        try:
            yield script
        finally:
            server.shutdown()
            thread.join()
