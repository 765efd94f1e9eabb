# SPDX-License-Identifier: Apache-2.0
"""http storage against a server on this machine that fails in the ways that servers fail."""

from __future__ import annotations

import hashlib
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from entrypoint.errors import InputsMissingError, UnsupportedError
from entrypoint.storage import needed, storage_for, web, without_secrets
from entrypoint.types import transformer_for
from entrypoint.types.files import File

CONTENT = bytes(range(256)) * 20_000
MD5 = b64encode(hashlib.md5(CONTENT).digest()).decode()


class Server(ThreadingHTTPServer):
    """Serves `content` at any path, after `faults`, of which each request meets one."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.headers = {"ETag": '"one"', "Content-MD5": MD5}
        self.faults: list[Any] = []
        self.requests: list[tuple[str, str, str]] = []
        self.stored: dict[str, bytes] = {}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of the tests."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: Any) -> None:
        """Quietly."""

    def do_GET(self) -> None:
        fault = self.begin()
        if isinstance(fault, str):
            self.answer(302, {"Location": fault}, b"")
            return
        if isinstance(fault, tuple):
            self.answer(fault[0], fault[1], b"")
            return
        content, start, status = self.server.content, 0, 200
        asked = self.headers.get("Range", "")
        if asked and self.headers.get("If-Range") == self.server.headers.get("ETag"):
            start, status = int(asked[len("bytes=") : -1]), 206
        headers = dict(self.server.headers)
        if status == 206:
            headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        self.answer(status, headers, content[start:], cut=fault)

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        fault = self.begin()
        if fault is not None:
            self.answer(fault[0], fault[1], b"")
            return
        assert self.headers["Content-MD5"] == b64encode(hashlib.md5(body).digest()).decode()
        self.server.stored[self.path] = body
        self.answer(201, {}, b"")

    def do_DELETE(self) -> None:
        self.begin()
        self.answer(204 if self.server.stored.pop(self.path, None) is not None else 404, {}, b"")

    def begin(self) -> Any:
        seen = (self.command, self.path, self.headers.get("Range", ""))
        self.server.requests.append(seen)
        fault = self.server.faults.pop(0) if self.server.faults else None
        if callable(fault):
            fault()
            return None
        return fault

    def answer(
        self, status: int, headers: dict[str, str], body: bytes, cut: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])
        if cut is not None:
            self.wfile.flush()
            self.connection.close()
            self.close_connection = True


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(web, "BACKOFF_SECONDS", 0.001)
    monkeypatch.setenv("NO_PROXY", "*")
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def test_a_download_goes_on_where_it_broke_off(server: Server) -> None:
    """By ranges of the same version; the whole has the checksum that was promised."""
    server.faults = [1_000_000, 2_000_000, 5]
    path = web.fetch(f"{server.url}/models/a.bin?signature=secret")
    assert Path(path).read_bytes() == CONTENT
    assert Path(path).name == "a.bin"
    ranges = [each[2] for each in server.requests]
    assert ranges[0] == ""
    assert all(each.startswith("bytes=") and each != "bytes=0-" for each in ranges[1:])
    assert len(ranges) == 4


def test_a_download_without_a_version_begins_anew(server: Server) -> None:
    """Two halves might be of two contents."""
    server.headers = {}
    server.faults = [1_000_000]
    assert Path(web.fetch(f"{server.url}/a")).read_bytes() == CONTENT
    assert [each[2] for each in server.requests] == ["", ""]


def test_a_content_that_changed_meanwhile_is_read_anew(server: Server) -> None:
    """The server says so by an answer that is no range."""

    def change() -> None:
        server.content = b"new"
        server.headers = {"ETag": '"two"'}

    server.faults = [1_000_000, change]
    assert Path(web.fetch(f"{server.url}/a")).read_bytes() == b"new"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_passing_failure_is_tried_again(server: Server, status: int) -> None:
    """Downloads and uploads alike."""
    server.faults = [(status, {"Retry-After": "0"})] * 3
    assert Path(web.fetch(f"{server.url}/a")).read_bytes() == CONTENT
    server.faults = [(status, {})] * 2
    web.store(b"data", f"{server.url}/b")
    assert server.stored == {"/b": b"data"}
    assert len(server.requests) == 7


def test_attempts_end(server: Server) -> None:
    """With the last reason, and without the query of a signed URL."""
    server.faults = [(503, {})] * 100
    with pytest.raises(OSError, match=r"/a: 503 Service Unavailable, 6 times in a row") as caught:
        web.fetch(f"{server.url}/a?signature=secret")
    assert "secret" not in str(caught.value)
    assert len(server.requests) == web.ATTEMPTS


def test_progress_starts_the_count_anew(server: Server) -> None:
    """A line that breaks often still carries a large file."""
    server.faults = [200_000] * 20
    assert Path(web.fetch(f"{server.url}/a")).read_bytes() == CONTENT
    assert len(server.requests) == 21


@pytest.mark.parametrize("status", [400, 401, 403])
def test_what_will_not_pass_is_not_tried_again(server: Server, status: int) -> None:
    """One request, one error."""
    server.faults = [(status, {})] * 2
    with pytest.raises(OSError, match=f"/a: {status}"):
        web.fetch(f"{server.url}/a")
    assert len(server.requests) == 1


def test_what_is_not_there_is_missing(server: Server) -> None:
    """An input's absence is the system's fault."""
    server.faults = [(404, {})] * 2
    with pytest.raises(FileNotFoundError):
        web.fetch(f"{server.url}/a")
    with pytest.raises(InputsMissingError, match="does not exist"):
        transformer_for(File).unpack(f"{server.url}/a").open()


@pytest.mark.parametrize(
    "headers",
    [{"Content-MD5": MD5[::-1]}, {"Repr-Digest": f"sha-256=:{'A' * 43}=:"}],
    ids=["md5", "sha-256"],
)
def test_a_wrong_checksum_is_an_error(server: Server, headers: dict[str, str]) -> None:
    """After a fresh attempt each time."""
    server.headers = {"ETag": '"one"', **headers}
    with pytest.raises(OSError, match="the content is not what its"):
        web.fetch(f"{server.url}/a")
    assert [each[2] for each in server.requests] == [""] * web.ATTEMPTS


def test_redirects_are_followed_and_limited(server: Server) -> None:
    """A few, and not in circles."""
    server.faults = ["/b", f"{server.url}/c"]
    assert Path(web.fetch(f"{server.url}/a")).read_bytes() == CONTENT
    assert [each[1] for each in server.requests] == ["/a", "/b", "/c"]
    server.faults = [f"/{number}" for number in range(20)]
    with pytest.raises(OSError, match="302"):
        web.fetch(f"{server.url}/a")
    server.faults = ["file:///etc/passwd"]
    with pytest.raises(OSError, match="302"):
        web.fetch(f"{server.url}/a")


def test_files_are_stored_and_cleared(server: Server, tmp_path: Path) -> None:
    """With their checksum; what is not there is already clear."""
    (tmp_path / "f").write_bytes(CONTENT)
    storage = storage_for(server.url)
    storage.store(str(tmp_path / "f"), f"{server.url}/out/f")
    assert server.stored["/out/f"] == CONTENT
    storage.clear(f"{server.url}/out", ["f", "g"])
    assert server.stored == {}
    with pytest.raises(UnsupportedError, match="a directory can't be stored"):
        storage.store(str(tmp_path), f"{server.url}/out/d")


def test_a_user_and_password_are_sent_and_not_shown(server: Server) -> None:
    """As Basic authorization."""
    place = server.url.replace("http://", "http://me:pa%40ss@")
    server.faults = [(401, {})]
    with pytest.raises(OSError, match="401") as caught:
        web.fetch(f"{place}/a")
    assert "pa" not in str(caught.value).replace("path", "")
    assert without_secrets(f"{place}/a?b") == f"{server.url}/a"
    request = web._request(f"{place}/a", "GET", {})
    assert request.get_header("Authorization") == "Basic bWU6cGFAc3M="


def test_a_server_that_is_not_there_is_an_error(server: Server) -> None:
    """After the same attempts."""
    with socket.create_server(("127.0.0.1", 0)) as closing:
        port = closing.getsockname()[1]
    with pytest.raises(OSError, match="Connection refused, 6 times in a row"):
        web.fetch(f"http://127.0.0.1:{port}/a")


def test_a_package_that_is_not_there_is_named() -> None:
    """With what to do about it."""
    with pytest.raises(UnsupportedError, match="s3:// needs the package no_such_package, which"):
        needed("no_such_package", "s3://bucket/key")
