# SPDX-License-Identifier: Apache-2.0
"""Passwords of an index, a file and a registry in a whole build: nothing written has them."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagekit.oci.assemble import Addition, Settings, assemble
from imagekit.oci.descriptor import Platform
from imagekit.oci.layout import write_layout
from tests.fakes.images import file_layer
from tests.fakes.registry_server import PASSWORD, USER, htpasswd, registry
from tests.fakes.secret_index import (
    FILE_PASSWORD,
    INDEX_PASSWORD,
    TOKEN,
    Packages,
    encoded,
    serving,
)
from tests.real.builds import new_host

pytestmark = pytest.mark.registry

PLATFORM = Platform.of_this_machine()


@pytest.fixture
def packages(tmp_path: Path) -> Iterator[tuple[Packages, str]]:
    folder = tmp_path / "published"
    folder.mkdir()
    published = Packages(folder)
    with serving(published) as address:
        yield published, address


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
        unpacked = gzip.decompress(data)
        yield unpacked
        # What is kept of a base's layers is no archive.
        with (
            contextlib.suppress(tarfile.ReadError),
            tarfile.open(fileobj=io.BytesIO(unpacked)) as archive,
        ):
            yield from (member.name.encode() + member.linkname.encode() for member in archive)


def test_no_secret_is_in_anything_that_is_written(
    packages: tuple[Packages, str], tmp_path: Path
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
        spec = project / "spec.yaml"
        spec.write_text(
            f"name: team/secret\nregistry: {server.address}\nbase_image: oci:base\n"
            f"platform: {PLATFORM}\ncompile_bytecode: false\nobject_storage: false\n"
            f"layer_cache: ['{server.address}/team/layers']\n"
            f"pip_index: http://user:{INDEX_PASSWORD}@{address}/simple\n"
            f"packages:\n- listed\n- direct @ http://user:{FILE_PASSWORD}@{address}/direct/"
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
