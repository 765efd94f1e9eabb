# SPDX-License-Identifier: Apache-2.0
"""A registry gets the layers of an image while others of it are still made."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from imagekit.builders.build import build
from imagekit.errors import BuildError
from imagekit.oci.validate import validate
from imagekit.progress import Silent
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference
from tests.fakes.registry_server import Server
from tests.unit.imagekit.builders.project import PLATFORM, Project

pytestmark = pytest.mark.registry
_PATIENCE_SECONDS = 60
_BETWEEN_SECONDS = 0.05


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(tmp_path, monkeypatch)


@contextlib.contextmanager
def served_when(ready: Callable[[], bool], body: bytes) -> Iterator[str]:
    """The URL of a file that a server gives when it is `ready`, and refuses if it never is."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            clock = threading.Event()
            left = int(_PATIENCE_SECONDS / _BETWEEN_SECONDS)
            while not (found := ready()) and left:
                clock.wait(_BETWEEN_SECONDS)
                left -= 1
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(body) if found else 0))
            self.end_headers()
            self.wfile.write(body if found else b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/file"
        finally:
            server.shutdown()
            thread.join()


def test_layers_that_are_made_are_sent_while_a_wheel_is_still_fetched(
    project: Project, server: Server
) -> None:
    """The index gives the last wheel only when the registry has the layers of the others."""
    target = RegistryReference.parse(f"{server.address}/early/image:1")
    alpha, beta = project.wheel("alpha"), project.wheel("beta")
    base, *others = project.build(alpha).image.layers
    last = (project.root / "index" / beta.filename).read_bytes()
    project.forget_layers()
    client = RegistryClient()

    def sent() -> bool:
        return all(client.blob_size(target, layer.digest) is not None for layer in others)

    with served_when(sent, last) as url:
        wheels = [alpha, dataclasses.replace(beta, url=url)]
        locks = project.locks({PLATFORM: wheels})
        built = build(project.spec, project.path, locks, [f"docker://{target}"], Silent())

    assert client.blob_size(target, base.digest) == base.size_bytes
    validate(client.pull(target))
    assert client.manifest_digest(target) == built.digest
    client.close()


def test_an_image_that_is_refused_leaves_no_name(project: Project, server: Server) -> None:
    """Wheels that contradict each other: whatever was sent, no manifest names it."""
    target = RegistryReference.parse(f"{server.address}/early/refused:1")
    wheels = [project.wheel("alpha", module="same"), project.wheel("beta", module="same")]
    locks = project.locks({PLATFORM: wheels})

    with pytest.raises(BuildError, match=r"same/__init__\.py"):
        build(project.spec, project.path, locks, [f"docker://{target}"], Silent())
    client = RegistryClient()
    assert client.manifest_digest(target) is None
    client.close()
