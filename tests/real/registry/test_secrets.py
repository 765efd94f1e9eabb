# SPDX-License-Identifier: Apache-2.0
"""Passwords of an index, a file and a registry in a whole build: nothing written has them."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from imagekit.oci.assemble import Addition, Settings, assemble
from imagekit.oci.descriptor import Platform
from imagekit.oci.layout import write_layout
from tests.fakes.images import file_layer
from tests.fakes.registry_server import PASSWORD, USER, htpasswd, registry
from tests.fakes.wheels import make_wheel
from tests.real.builds import new_host

pytestmark = pytest.mark.registry

INDEX_PASSWORD = "canary-of-the-index"
FILE_PASSWORD = "canary-of-the-file"
TOKEN = "canary-in-the-query"
PLATFORM = Platform.of_this_machine()


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


@pytest.fixture
def packages(tmp_path: Path) -> Iterator[tuple[Packages, str]]:
    folder = tmp_path / "published"
    folder.mkdir()
    published = Packages(folder)

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
        yield published, f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def write_base(folder: Path) -> None:
    """Just enough for a lock: an interpreter and a C library that say their versions."""
    files = {
        "usr/bin/python3": b"\0" + b"3.11.4\0",
        "usr/bin/python3.11": b"\0" + b"3.11.4\0",
        "usr/lib/libc.so.6": b"stable release version 2.36.",
    }
    layer = file_layer(folder, files)
    base = assemble(None, [Addition(layer, "base")], Settings(), platform=PLATFORM)
    write_layout(base, folder / "base")


def texts(path: Path) -> Iterator[bytes]:
    """A file's bytes, and what they are uncompressed."""
    data = path.read_bytes()
    yield data
    if data.startswith(b"\x1f\x8b"):
        tar = gzip.decompress(data)
        yield tar
        with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
            for member in archive:
                yield member.name.encode() + member.linkname.encode()


@pytest.mark.parametrize("way", ["in the URL", "by a mounted netrc"])
def test_no_secret_is_in_anything_that_is_written(
    packages: tuple[Packages, str], tmp_path: Path, way: str
) -> None:
    """Neither lock, cache, store, layers, documents, the registry's files and log, nor output."""
    published, address = packages
    project, private = tmp_path / "project", tmp_path / "private"
    project.mkdir()
    private.mkdir()
    write_base(project)
    host = new_host(tmp_path / "host")
    storage = tmp_path / "storage"
    storage.mkdir()
    with registry(storage, auth=htpasswd(private)) as server:
        login = {"auths": {server.address: {"auth": encoded(USER, PASSWORD)}}}
        (private / "config.json").write_text(json.dumps(login))
        (private / "netrc").write_text(f"machine 127.0.0.1 login user password {INDEX_PASSWORD}\n")
        index = {
            "in the URL": f"pip_index: http://user:{INDEX_PASSWORD}@{address}/simple\n",
            "by a mounted netrc": f"pip_index: http://{address}/simple\n"
            f"pip_secret_mounts: [[../private/netrc, /root/.netrc]]\n",
        }[way]
        spec = project / "spec.yaml"
        spec.write_text(
            f"name: team/secret\nregistry: {server.address}\nbase_image: oci:base\n"
            f"platform: {PLATFORM}\ncompile_bytecode: false\nobject_storage: false\n"
            f"layer_cache: ['{server.address}/team/layers']\n"
            f"{index}packages:\n- listed\n- direct @ http://user:{FILE_PASSWORD}@{address}/direct/"
            f"{published.direct.filename}?token={TOKEN}"
            f"#sha256={published.direct.sha256}\n"
        )
        environ = {"DOCKER_CONFIG": str(private), "UV_CACHE_DIR": str(private / "uv")}
        machine = type(host)(host.root, environ=environ)
        done = [
            machine.run("build", spec, "--push", "--to", f"oci:{project}/out"),
            machine.run("build", spec),
            machine.run("inspect", f"oci:{project}/out", "--output", "json"),
        ]
        assert [each.returncode for each in done] == [0, 0, 0], "".join(
            each.stderr for each in done
        )
        written = [each.stdout.encode() + each.stderr.encode() for each in done]
        server_log = server.log.read_bytes()
    files = [
        path
        for folder in (host.root, project, storage)
        for path in folder.rglob("*")
        if path.is_file() and path != spec
    ]
    assert hashlib.sha256(published.direct.path.read_bytes()).hexdigest() in {x.name for x in files}
    secrets = {INDEX_PASSWORD, FILE_PASSWORD, TOKEN, PASSWORD}
    secrets |= {encoded("user", INDEX_PASSWORD), encoded("user", FILE_PASSWORD)}
    secrets.add(encoded(USER, PASSWORD))
    for secret in secrets:
        assert not [text for text in (*written, server_log) if secret.encode() in text]
        leaks = [x for x in files if any(secret.encode() in text for text in texts(x))]
        assert leaks == []
