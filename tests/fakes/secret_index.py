# SPDX-License-Identifier: Apache-2.0
"""A package index that asks for passwords, and a file beside it with another one."""

from __future__ import annotations

import base64
import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.fakes.wheels import make_wheel

INDEX_PASSWORD = "canary-of-the-index"
FILE_PASSWORD = "canary-of-the-file"
TOKEN = "canary-in-the-query"


class Packages:
    """An index at /simple/ and a file at /direct/, each with a password of its own."""

    def __init__(self, folder: Path) -> None:
        self.listed = make_wheel(folder, {"listed/__init__.py": b"1"}, name="listed")
        self.direct = make_wheel(folder, {"direct/__init__.py": b"2"}, name="direct")

    def answer(self, path: str, authorization: str) -> tuple[int, bytes]:
        direct = path.startswith("/direct/")
        password = FILE_PASSWORD if direct else INDEX_PASSWORD
        if authorization != f"Basic {encoded('user', password)}":
            return 401, b""
        if direct:
            return (200, self.direct.path.read_bytes()) if TOKEN in path else (403, b"")
        if path == "/simple/listed/":
            link = f'<a href="/files/{self.listed.filename}#sha256={self.listed.sha256}">'
            return 200, f"<!DOCTYPE html><body>{link}{self.listed.filename}</a></body>".encode()
        if path.startswith("/files/"):
            return 200, self.listed.path.read_bytes()
        return 404, b""


def encoded(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


@contextlib.contextmanager
def serving(published: Packages) -> Iterator[str]:
    """The address at which they are."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = published.answer(self.path, self.headers.get("Authorization", ""))
            self.send_response(status)
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="packages"')
            self.send_header("Content-Type", "text/html" if b"<" in body[:1] else "x/wheel")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - its own name

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
