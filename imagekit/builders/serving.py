# SPDX-License-Identifier: Apache-2.0
"""One image, served to this machine by the distribution protocol, for tools that take no files."""

from __future__ import annotations

import contextlib
import functools
import http.server
import shutil
import threading
from collections.abc import Iterator

from imagekit.oci.image import Image

REPOSITORY = "imagekit/base"
TAG = "base"
_BYTES = "application/octet-stream"


@contextlib.contextmanager
def served(image: Image) -> Iterator[str]:
    """The name of `image` while the block runs: `127.0.0.1:PORT/imagekit/base:base`."""
    handler = functools.partial(_Handler, image)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}/{REPOSITORY}:{TAG}"
        finally:
            server.shutdown()
            thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    """distribution-spec, "Pulling": manifests and blobs, of one repository."""

    protocol_version = "HTTP/1.1"
    # Engines try TLS first; they know a plain server by an answer that is HTTP.
    default_request_version = "HTTP/1.1"

    def __init__(self, image: Image, *arguments: object) -> None:
        self._image = image
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Stderr belongs to the build."""

    def _answer(self, *, with_body: bool) -> None:
        kind, _, name = self.path.removeprefix(f"/v2/{REPOSITORY}/").partition("/")
        layer = next((each for each in self._image.layers if each.digest == name), None)
        if self.path == "/v2/":
            self._small("application/json", "", b"{}", with_body=with_body)
        elif kind == "manifests" and name in (self._image.digest, TAG):
            manifest = self._image.manifest_bytes
            self._small(self._image.media_type, self._image.digest, manifest, with_body=with_body)
        elif kind == "blobs" and name == self._image.config_digest:
            self._small(_BYTES, name, self._image.config_bytes, with_body=with_body)
        elif kind == "blobs" and layer is not None:
            self._head(_BYTES, name, layer.size_bytes)
            if with_body:
                with layer.open() as stream:
                    shutil.copyfileobj(stream, self.wfile)
        else:
            self.send_error(http.HTTPStatus.NOT_FOUND)

    def _small(self, media_type: str, digest: str, data: bytes, *, with_body: bool) -> None:
        self._head(media_type, digest, len(data))
        if with_body:
            self.wfile.write(data)

    def _head(self, media_type: str, digest: str, size_bytes: int) -> None:
        self.send_response(http.HTTPStatus.OK)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(size_bytes))
        if digest:
            self.send_header("Docker-Content-Digest", digest)
        self.end_headers()
