# SPDX-License-Identifier: Apache-2.0
"""What a worker may ask of us while it builds: files, secrets, logins, and a place for results.

The services run on a local socket that nobody else can reach; the worker's stream is carried
there, and is where it speaks HTTP/2 as the client.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field
from typing import Any, BinaryIO, TypeAlias, final

import grpc

from imagekit.buildkit.cache_folder import CacheFolder
from imagekit.buildkit.content import Content
from imagekit.buildkit.filesync import FileSync
from imagekit.buildkit.rpc import codecs
from imagekit.buildkit.streams import SocketStream, join, new_socket, remove_socket
from imagekit.buildkit.transport import Transport
from imagekit.buildkit.tree import Entry
from imagekit.errors import BuildError, ImagekitError
from imagekit.oci.image import Image
from imagekit.values import frozen

Login: TypeAlias = tuple[str, str]
"""User and password; the user is empty where the password is an identity token."""

_SERVING = 1
_THREADS = 32
_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # The worker asks often whether we are alive.
    ("grpc.http2.max_ping_strikes", 0),
)


def _no_login(host: str) -> Login | None:
    del host
    return None


@frozen
class Offer:
    """What a build's session gives.

    Attributes:
        trees: local folders by the name that the frontend calls them.
        secrets: by identifier.
        login: the user's credentials for a registry's host, or None.
        result: takes the tar that an exporter sends back.
        images: what named contexts of the kind oci-layout refer to.
        folders: caches of this machine's, to read and to write.
        shared_key: builds with the same key share the worker's copy of the trees.
    """

    trees: Mapping[str, Sequence[Entry]] = field(default_factory=dict)
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    login: Callable[[str], Login | None] = _no_login
    result: BinaryIO | None = None
    images: Sequence[Image] = ()
    folders: Sequence[CacheFolder] = ()
    shared_key: str = "imagekit"


@final
class Session:
    """An offer under way; use as a context manager around the solve."""

    def __init__(self, transport: Transport, offer: Offer) -> None:
        self.identifier = secrets.token_hex(16)
        self._transport = transport
        self._offer = offer
        self._files = FileSync(offer.trees)
        self._failure: ImagekitError | None = None

    @property
    def failure(self) -> ImagekitError | None:
        """What went wrong on this side; the worker's own error only quotes it."""
        return self._files.failure or self._failure

    def __enter__(self) -> Session:
        self._path = path = new_socket()
        self._server = grpc.server(ThreadPoolExecutor(_THREADS), options=_OPTIONS)
        services = self._services()
        for service, methods in services.items():
            handler = grpc.method_handlers_generic_handler(service, methods)
            self._server.add_generic_rpc_handlers((handler,))
        self._server.add_insecure_port(f"unix:{path}")
        self._server.start()
        local = socket.socket(socket.AF_UNIX)
        local.connect(path)
        names = [f"/{service}/{name}" for service, methods in services.items() for name in methods]
        self._stream = self._transport.session(self._metadata(names))
        join(SocketStream(local), self._stream)
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._server.stop(None)
        remove_socket(self._path)

    def _metadata(self, names: Sequence[str]) -> list[tuple[str, str]]:
        prefix = "X-Docker-Expose-Session-"
        return [
            (f"{prefix}Uuid", self.identifier),
            (f"{prefix}Name", "imagekit"),
            (f"{prefix}Sharedkey", self._offer.shared_key),
            *((f"{prefix}Grpc-Method", name) for name in names),
        ]

    def _services(self) -> dict[str, dict[str, Any]]:
        """Handlers by service and method."""
        unary, streams = _unary, _streams
        found: dict[str, dict[str, Any]] = {
            "grpc.health.v1.Health": {
                "Check": unary(_alive, "HealthCheckRequest", "HealthCheckResponse")
            },
            "moby.filesync.v1.FileSync": {
                "DiffCopy": streams(self._files.diff_copy, "Packet", "Packet")
            },
            "moby.buildkit.secrets.v1.Secrets": {
                "GetSecret": unary(self._secret, "GetSecretRequest", "GetSecretResponse")
            },
            "moby.filesync.v1.Auth": {
                "Credentials": unary(self._login, "CredentialsRequest", "CredentialsResponse")
            },
        }
        if self._offer.result is not None:
            found["moby.filesync.v1.FileSend"] = {
                "DiffCopy": streams(self._take, "BytesMessage", "BytesMessage")
            }
        if self._offer.images or self._offer.folders:
            content = Content(self._offer.images, self._offer.folders)
            found["containerd.services.content.v1.Content"] = content.methods()
        return found

    def _secret(self, asked: dict[str, Any], context: grpc.ServicerContext) -> dict[str, Any]:
        identifier = asked.get("ID", "")
        if identifier not in self._offer.secrets:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no secret {identifier!r} in this build")
        return {"data": self._offer.secrets[identifier]}

    def _login(self, asked: dict[str, Any], context: grpc.ServicerContext) -> dict[str, Any]:
        try:
            found = self._offer.login(asked.get("Host", ""))
        except ImagekitError as error:
            self._failure = error
            found = None
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, error.message)
        return {} if found is None else {"Username": found[0], "Secret": found[1]}

    def _take(
        self, messages: Iterator[dict[str, Any]], context: grpc.ServicerContext
    ) -> Iterator[dict[str, Any]]:
        result = self._offer.result
        if result is None:
            return
        try:
            for message in messages:
                result.write(message.get("data", b""))
        except OSError as error:
            self._failure = BuildError(f"writing the image: {error.strerror or error}")
            context.abort(grpc.StatusCode.ABORTED, self._failure.message)
        yield from ()


def _alive(asked: dict[str, Any], context: grpc.ServicerContext) -> dict[str, Any]:
    del asked, context
    return {"status": _SERVING}


def _unary(function: Any, received: str, sent: str) -> Any:
    write, read = codecs(sent, received)
    return grpc.unary_unary_rpc_method_handler(function, read, write)


def _streams(function: Any, received: str, sent: str) -> Any:
    write, read = codecs(sent, received)
    return grpc.stream_stream_rpc_method_handler(function, read, write)
