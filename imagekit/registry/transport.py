# SPDX-License-Identifier: Apache-2.0
"""One exchange with a registry: what failed is an error of registries, and slow is too slow."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from imagekit.errors import RegistryError
from imagekit.http.failures import UnansweredError
from imagekit.http.pool import Pool, Received
from imagekit.http.trust import tls_context
from imagekit.registry.access import Access
from imagekit.registry.errors import TransientError
from imagekit.registry.exchange import Request, Response
from imagekit.registry.reference import is_loopback

_SLOW_SECONDS = 60.0
_SLOW_BYTES_PER_SECOND = 1000
_UNTRUSTED_HINT = (
    "put the CA into certs.d/HOST/ca.crt of Docker's configuration, or name a bundle in "
    "REQUESTS_CA_BUNDLE"
)


class Transport:
    """Connections are kept and shared; any thread may call it."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._contexts: dict[Path | None, ssl.SSLContext] = {}
        self._lock = threading.Lock()
        self._pool = Pool(self._trust)

    def send(self, request: Request) -> Response:
        """Raises TransientError, or RegistryError for what no other try would change."""
        headers = {"User-Agent": "imagekit", "Accept-Encoding": "identity", **request.headers}
        body = None
        if request.body is not None:
            headers["Content-Length"] = str(request.body.size_bytes)
            body = request.body.chunks()
        direct = is_loopback(urlsplit(request.url).netloc)
        try:
            received = self._pool.send(request.method, request.url, headers, body, direct=direct)
        except UnansweredError as error:
            raise _failure(error) from error
        return _Answer(received, request)

    def close(self) -> None:
        """Close the kept connections; the transport still works after that."""
        self._pool.close()

    def _trust(self, server: str) -> ssl.SSLContext:
        own = self._access.certificates / server
        folder = own if own.is_dir() else None
        with self._lock:
            if folder not in self._contexts:
                self._contexts[folder] = _tls(self._access, folder)
            return self._contexts[folder]


class _Answer(Response):
    def __init__(self, received: Received, request: Request) -> None:
        super().__init__(received.status, received.headers, request.url)
        self._received = received

    def chunks(self) -> Iterator[bytes]:
        patience = Patience()
        try:
            for chunk in self._received.chunks():
                patience.count(len(chunk))
                yield chunk
        except UnansweredError as error:
            raise _failure(error) from error

    def close(self) -> None:
        self._received.close()


class Patience:
    """Gives up on a server that sends on and on, but hardly anything."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._came = 0

    def count(self, size_bytes: int) -> None:
        """Raises TransientError where too little came in the last minute."""
        self._came += size_bytes
        seconds = self._clock() - self._since
        if seconds < _SLOW_SECONDS:
            return
        if self._came < seconds * _SLOW_BYTES_PER_SECOND:
            raise TransientError(f"less than {_SLOW_BYTES_PER_SECOND} bytes a second came")
        self._since += seconds
        self._came = 0


def _tls(access: Access, folder: Path | None) -> ssl.SSLContext:
    """Trusts `ca_file`, or else the user's CAs, and what lies in `folder`."""
    context = tls_context(access.environ, access.ca_file)
    if folder is None:
        return context
    path = folder
    try:
        for path in sorted(folder.glob("*.crt")):
            context.load_verify_locations(path)
        for path in sorted(folder.glob("*.cert")):
            context.load_cert_chain(path, path.with_suffix(".key"))
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or type(error).__name__
        raise RegistryError(f"certificates: {path}: {reason}") from error
    return context


def _failure(error: UnansweredError) -> Exception:
    if error.untrusted:
        return RegistryError(str(error), hint=_UNTRUSTED_HINT)
    if error.lasting:
        return RegistryError(str(error), hint=error.hint)
    return TransientError(str(error))
