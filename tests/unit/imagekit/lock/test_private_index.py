# SPDX-License-Identifier: Apache-2.0
"""An index that asks for a password: a small real one, in this process."""

import base64
import hashlib
import io
import os
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from imagekit.errors import LockError
from imagekit.lock import file
from imagekit.lock.model import Lock, Target
from imagekit.lock.resolve import resolve_packages
from imagekit.lock.sources.builder import SourceBuilder
from imagekit.progress import Silent
from imagekit.spec.model import ImageSpec

TARGET = Target("linux/amd64", "3.11.2", "/usr/bin/python3.11", "2.36")
WHEEL = "inside-1.0-py3-none-any.whl"
PASSWORD = "hunter2"


def _content() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        info = "inside-1.0.dist-info"
        archive.writestr(
            zipfile.ZipInfo(f"{info}/METADATA"),
            "Metadata-Version: 2.1\nName: inside\nVersion: 1.0\n",
        )
        archive.writestr(zipfile.ZipInfo(f"{info}/WHEEL"), "Wheel-Version: 1.0\n")
        archive.writestr(zipfile.ZipInfo(f"{info}/RECORD"), "")
    return stream.getvalue()


class _Index(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        wanted = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {wanted}":
            self._answer(401, b"", "text/plain")
        elif self.path == "/simple/inside/":
            sha256 = hashlib.sha256(_content()).hexdigest()
            link = f'<a href="/files/{WHEEL}?token=abc#sha256={sha256}">{WHEEL}</a>'
            self._answer(200, f"<!DOCTYPE html><html><body>{link}</body></html>".encode())
        elif self.path.startswith(f"/files/{WHEEL}"):
            self._answer(200, _content(), "application/octet-stream")
        else:
            self._answer(404, b"")

    def _answer(self, status: int, body: bytes, kind: str = "text/html") -> None:
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="index"')
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Keep quiet."""


@pytest.fixture
def host() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Index)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def _environ(tmp_path: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "UV_HTTP_RETRIES": "0"}


@pytest.mark.parametrize("field", ["pip_index", "pip_extra_index_url"])
def test_credentials_of_the_spec_reach_the_index_and_not_the_lock(
    field: str, host: str, tmp_path: Path
) -> None:
    """User, password and token are left out of what is written down."""
    url = f"http://user:{PASSWORD}@{host}/simple"
    value = url if field == "pip_index" else [url]
    spec = ImageSpec(packages=["inside"], object_storage=False, **{field: value})  # type: ignore[arg-type]
    wheels = resolve_packages(
        spec,
        tmp_path,
        TARGET,
        preferences=(),
        sources=SourceBuilder(spec, tmp_path, Silent(), _environ(tmp_path)),
        environ=_environ(tmp_path),
    )
    assert [(each.filename, each.url) for each in wheels] == [
        (WHEEL, f"http://{host}/files/{WHEEL}")
    ]
    assert wheels[0].sha256 == hashlib.sha256(_content()).hexdigest()
    text = file.dumps([Lock("sha256:0", TARGET, {"kind": "oci"}, wheels, None, "1")])
    assert PASSWORD not in text
    assert "token" not in text


def test_a_refused_password_is_not_repeated(host: str, tmp_path: Path) -> None:
    """The error names the index, not what was tried on it."""
    spec = ImageSpec(packages=["inside"], pip_index=f"http://user:wrong-one@{host}/simple")
    with pytest.raises(LockError) as caught:
        resolve_packages(
            spec,
            tmp_path,
            TARGET,
            preferences=(),
            sources=SourceBuilder(spec, tmp_path, Silent(), _environ(tmp_path)),
            environ=_environ(tmp_path),
        )
    assert "inside" in caught.value.message
    assert "wrong-one" not in f"{caught.value.message} {caught.value.hint}"
