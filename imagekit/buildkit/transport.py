# SPDX-License-Identifier: Apache-2.0
"""How a worker is reached: a gRPC channel to it, and a stream over which it calls back.

An address is one of

    docker                                the user's Docker Engine (DOCKER_HOST, contexts)
    unix:///PATH, tcp://HOST:PORT         a buildkitd; mutual TLS where certificates are given
    docker-container://NAME               a buildkitd in a container of the user's Docker Engine
    kube-pod://NAME?namespace=N           a buildkitd in a pod; `container=` names one of several
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, TypeAlias, final
from urllib.parse import parse_qsl, urlsplit

import grpc

from imagekit.buildkit import rpc
from imagekit.buildkit.container import exec_stream
from imagekit.buildkit.endpoint import Certificates, find_endpoint
from imagekit.buildkit.engine import Engine
from imagekit.buildkit.streams import LocalSocket, SocketStream, SpokenStream, Stream
from imagekit.errors import BuildError, ImagekitError

Metadata: TypeAlias = Sequence[tuple[str, str]]
Dial: TypeAlias = Callable[[], Stream]

_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # A failed step's error carries the whole step in a header.
    ("grpc.max_metadata_size", 1 << 24),
    ("grpc.absolute_max_metadata_size", 1 << 24),
    ("grpc.enable_retries", 0),
    # A connection that is lost is the build's end; the session does not survive it.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.use_local_subchannel_pool", 1),
)
_DIAL_STDIO = ("buildctl", "dial-stdio")


class Transport(Protocol):
    """A connection to one worker; `close` ends all that it opened."""

    @property
    def address(self) -> str:
        """As the user wrote it, for messages."""

    @property
    def channel(self) -> grpc.Channel: ...

    @property
    def failure(self) -> ImagekitError | None:
        """Why the way to the worker failed, where gRPC saw no more than its end."""

    def session(self, metadata: Metadata) -> Stream:
        """The stream over which the worker calls the session's services."""

    def close(self) -> None: ...


def open_transport(
    address: str, environ: Mapping[str, str], certificates: Certificates | None = None
) -> Transport:
    """Connect to the worker at `address`.

    Raises:
        BuildError: it is no address, or nobody answers there.
        EngineError: the Docker Engine on the way can't be reached.
    """
    scheme, _, rest = address.partition("://")
    if address == "docker":
        return EngineTransport(Engine(find_endpoint(environ)))
    if scheme == "docker-container" and rest:
        engine = Engine(find_endpoint(environ))
        return _dialled(address, lambda: exec_stream(engine, rest, _DIAL_STDIO))
    if scheme == "kube-pod" and rest:
        return _dialled(address, _pod_dial(address, environ))
    if scheme == "unix" and rest.startswith("/"):
        return GrpcTransport(address, _channel(f"unix:{rest}"))
    if scheme == "tcp" and rest:
        return GrpcTransport(address, _channel(rest, certificates))
    raise BuildError(
        f"not the address of a BuildKit worker: {address!r}",
        hint="unix:///PATH, tcp://HOST:PORT, docker-container://NAME or kube-pod://NAME",
    )


@final
class EngineTransport:
    """The BuildKit inside a Docker Engine, by the engine's own upgrades."""

    address = "docker"

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        # Made here, so that a missing engine is told in its own words and not in grpcio's.
        first = [engine.hijack("/grpc", {})]
        self._local = LocalSocket(
            lambda: SocketStream(first.pop() if first else engine.hijack("/grpc", {}))
        )
        self.channel = _channel(f"unix:{self._local.path}")

    @property
    def failure(self) -> ImagekitError | None:
        return self._local.failure

    def session(self, metadata: Metadata) -> Stream:
        headers: dict[str, list[str]] = {}
        for name, value in metadata:
            headers.setdefault(name, []).append(value)
        return SocketStream(self.engine.hijack("/session", headers))

    def close(self) -> None:
        self.channel.close()
        self._local.close()


@final
class GrpcTransport:
    """A buildkitd, whose session is a call of its own API."""

    def __init__(
        self, address: str, channel: grpc.Channel, local: LocalSocket | None = None
    ) -> None:
        self.address = address
        self.channel = channel
        self._local = local

    @property
    def failure(self) -> ImagekitError | None:
        return None if self._local is None else self._local.failure

    def session(self, metadata: Metadata) -> Stream:
        return _CallStream(self.channel, [(name.lower(), value) for name, value in metadata])

    def close(self) -> None:
        self.channel.close()
        if self._local is not None:
            self._local.close()


@final
class _CallStream:
    """The bytes of Control.Session's messages."""

    def __init__(self, channel: grpc.Channel, metadata: Metadata) -> None:
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._call = rpc.session(channel)(self._messages(), metadata=metadata)

    def read(self) -> bytes:
        try:
            # A message without data would look like the end.
            while not (data := next(self._call).get("data", b"")):
                pass
        except (StopIteration, grpc.RpcError):
            return b""
        return bytes(data)

    def write(self, data: bytes) -> None:
        self._outgoing.put(data)

    def close(self) -> None:
        if not self._closed.is_set():
            self._closed.set()
            self._outgoing.put(None)
            self._call.cancel()

    def _messages(self) -> Iterator[dict[str, bytes]]:
        while (data := self._outgoing.get()) is not None:
            yield {"data": data}


def _dialled(address: str, dial: Dial) -> Transport:
    def begun() -> Stream:
        return SpokenStream(dial(), address)

    first = [begun()]
    local = LocalSocket(lambda: first.pop() if first else begun())
    return GrpcTransport(address, _channel(f"unix:{local.path}"), local)


def _channel(target: str, certificates: Certificates | None = None) -> grpc.Channel:
    if certificates is None:
        return grpc.insecure_channel(target, options=_OPTIONS)
    files = (certificates.authority, certificates.key, certificates.certificate)
    try:
        pem = [None if path is None else path.read_bytes() for path in files]
    except OSError as error:
        raise BuildError(f"reading {error.filename}: {error.strerror}") from error
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(*pem), options=_OPTIONS)


def _pod_dial(address: str, environ: Mapping[str, str]) -> Dial:
    from imagekit.buildkit.pod import pod_stream  # noqa: PLC0415 - needs the package kubernetes

    parts = urlsplit(address)
    options = dict(parse_qsl(parts.query))
    unknown = set(options) - {"namespace", "container", "context"}
    if unknown or not parts.hostname:
        raise BuildError(
            f"not the address of a pod: {address!r}",
            hint="kube-pod://NAME?namespace=N&container=C&context=X; only NAME is needed",
        )
    name = parts.netloc
    return lambda: pod_stream(
        name,
        options.get("namespace", "default"),
        _DIAL_STDIO,
        environ,
        container=options.get("container"),
        context=options.get("context"),
    )
