# SPDX-License-Identifier: Apache-2.0
"""One HTTP exchange over requests: no redirect, no cookie, no netrc, no second try.

The only module here that imports requests, which takes long. Its sessions are left out: they add
credentials and follow redirects by rules of their own.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies

from imagekit.errors import RegistryError
from imagekit.registry.access import Access
from imagekit.registry.errors import TransientError
from imagekit.registry.exchange import Request, Response, number
from imagekit.registry.reference import is_loopback
from imagekit.urls import without_credentials

CHUNK_BYTES = 1 << 18
_TIMEOUT_SECONDS = (15, 60)
_POOL = 16
_SLOW_SECONDS = 60.0
_SLOW_BYTES_PER_SECOND = 1000
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})
_FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)


class Transport:
    """Connections are kept and shared; any thread may call it."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._adapters: dict[str, HTTPAdapter] = {}
        self._lock = threading.Lock()

    def send(self, request: Request) -> Response:
        """Raises TransientError, or RegistryError for what no other try would change."""
        try:
            prepared = requests.Request(request.method, request.url).prepare()
        except (ValueError, requests.RequestException) as error:
            raise RegistryError(f"{without_credentials(request.url)}: not a URL") from error
        prepared.headers.update({"User-Agent": "imagekit", **request.headers})
        if request.body is not None:
            prepared.headers["Content-Length"] = str(request.body.size_bytes)
            body: Any = request.body.chunks() if request.body.size_bytes else b""
            prepared.body = body
        adapter = self._adapter(request.url)
        proxies = _proxies(request.url)
        try:
            return _Received(
                adapter.send(prepared, stream=True, timeout=_TIMEOUT_SECONDS, proxies=proxies)
            )
        except _FAILURES as error:
            raise _failure(error, request.url) from error

    def close(self) -> None:
        """Close the kept connections; the transport still works after that."""
        with self._lock:
            for adapter in self._adapters.values():
                adapter.close()
            self._adapters.clear()

    def _adapter(self, url: str) -> HTTPAdapter:
        parts = urlsplit(url)
        folder = self._access.certificates / parts.netloc
        key = "http" if parts.scheme == "http" else parts.netloc if folder.is_dir() else "https"
        with self._lock:
            if key not in self._adapters:
                self._adapters[key] = (
                    HTTPAdapter(pool_maxsize=_POOL)
                    if key == "http"
                    else _TlsAdapter(_tls(self._access, folder))
                )
            return self._adapters[key]


class _TlsAdapter(HTTPAdapter):
    """Trusts what its context trusts, and nothing that requests would add."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(pool_maxsize=_POOL)

    def init_poolmanager(self, *arguments: Any, **settings: Any) -> None:
        super().init_poolmanager(*arguments, ssl_context=self._context, **settings)

    def proxy_manager_for(self, proxy: str, **settings: Any) -> Any:
        return super().proxy_manager_for(proxy, ssl_context=self._context, **settings)

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {"ssl_context": self._context}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing to set: the context says it all."""


class _Received(Response):
    def __init__(self, response: requests.Response) -> None:
        super().__init__(response.status_code, response.headers, response.url or "")
        self._response = response
        self._has_body = response.request.method != "HEAD"

    def chunks(self) -> Iterator[bytes]:
        promised = number(self.headers.get("Content-Length", "")) if self._has_body else None
        came = 0
        patience = Patience()
        try:
            while chunk := self._response.raw.read1(CHUNK_BYTES, decode_content=False):
                came += len(chunk)
                patience.count(len(chunk))
                yield chunk
        except _FAILURES as error:
            raise _failure(error, self.url) from error
        if promised is not None and came < promised:
            raise TransientError(f"{came} of {promised} bytes came")

    def close(self) -> None:
        self._response.close()


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


def _proxies(url: str) -> dict[str, str]:
    if is_loopback(urlsplit(url).netloc):
        return {}
    return dict(get_environ_proxies(url))


def _tls(access: Access, folder: Path) -> ssl.SSLContext:
    """Trusts `ca_file`, or else the system's CAs, and what lies in `folder`."""
    given = _authorities(access)
    path = Path(given or "")
    try:
        if given is not None and path.is_dir():
            context = ssl.create_default_context(capath=path)
        else:
            context = ssl.create_default_context(cafile=given)
        for path in sorted(folder.glob("*.crt")):
            context.load_verify_locations(path)
        for path in sorted(folder.glob("*.cert")):
            context.load_cert_chain(path, path.with_suffix(".key"))
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or type(error).__name__
        raise RegistryError(f"certificates: {path}: {reason}") from error
    return context


def _authorities(access: Access) -> str | None:
    """A file or folder of CAs; None for OpenSSL's own."""
    given = access.environ.get("REQUESTS_CA_BUNDLE") or access.environ.get("SSL_CERT_FILE")
    if access.ca_file is not None or given:
        return str(access.ca_file or given)
    system = ssl.get_default_verify_paths()
    return None if system.cafile or system.capath else DEFAULT_CA_BUNDLE_PATH


def _failure(error: Exception, url: str) -> Exception:
    causes = list(_causes(error))
    where = without_credentials(url)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return RegistryError(
                f"{where}: the server's certificate is not trusted: {cause.verify_message}",
                hint="put the CA into certs.d/HOST/ca.crt of Docker's configuration, or name a "
                "bundle in REQUESTS_CA_BUNDLE",
            )
        if isinstance(cause, ssl.SSLError) and cause.reason in _NOT_TLS:
            return RegistryError(
                f"{where}: the server does not speak TLS",
                hint="plain HTTP is for localhost, or has to be asked for",
            )
        if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME:
            return RegistryError(f"{where}: there is no such host")
        if isinstance(cause, RegistryError | TransientError):
            return cause
    return TransientError(f"{where}: {_reason(causes)}")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what led to it, the outermost first; requests nests them in several ways."""
    seen = 0
    while error is not None and seen < 20:
        yield error
        inner = [item for item in error.args if isinstance(item, BaseException)]
        reason = getattr(error, "reason", None)
        if isinstance(reason, BaseException):
            inner.append(reason)
        error = error.__cause__ or (inner[0] if inner else error.__context__)
        seen += 1


def _reason(causes: list[BaseException]) -> str:
    # The texts of requests quote whole URLs: the system's own word, or the class, says enough.
    for cause in reversed(causes):
        if isinstance(cause, OSError) and cause.strerror and not isinstance(cause, ssl.SSLError):
            return cause.strerror
    return type(causes[-1]).__name__
