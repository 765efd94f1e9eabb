# SPDX-License-Identifier: Apache-2.0
"""One HTTP exchange over urllib3: no redirect, no cookie, no netrc, no second try.

The only module here that imports it, which takes long. Of requests, whose sessions add credentials
and follow redirects by rules of their own, no more is used than how it finds proxies.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import urllib3
import urllib3.exceptions

from imagekit.errors import RegistryError
from imagekit.registry.access import Access
from imagekit.registry.errors import TransientError
from imagekit.registry.exchange import Request, Response, number
from imagekit.registry.reference import is_loopback
from imagekit.urls import without_credentials

CHUNK_BYTES = 1 << 18
_TIMEOUT = urllib3.Timeout(connect=15, read=60)
_POOL = 16
_SLOW_SECONDS = 60.0
_SLOW_BYTES_PER_SECOND = 1000
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})
_FAILURES = (urllib3.exceptions.HTTPError, OSError)


class Transport:
    """Connections are kept and shared; any thread may call it."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._pools: dict[tuple[str, str], urllib3.PoolManager] = {}
        self._lock = threading.Lock()

    def send(self, request: Request) -> Response:
        """Raises TransientError, or RegistryError for what no other try would change."""
        headers = {"User-Agent": "imagekit", "Accept-Encoding": "identity", **request.headers}
        body: Any = None
        if request.body is not None:
            headers["Content-Length"] = str(request.body.size_bytes)
            body = request.body.chunks() if request.body.size_bytes else b""
        try:
            response = self._pool(request.url).urlopen(
                request.method,
                request.url,
                body=body,
                headers=headers,
                timeout=_TIMEOUT,
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
            )
        except (urllib3.exceptions.LocationValueError, ValueError) as error:
            raise RegistryError(f"{without_credentials(request.url)}: not a URL") from error
        except _FAILURES as error:
            raise _failure(error, request.url) from error
        return _Received(response, request)

    def close(self) -> None:
        """Close the kept connections; the transport still works after that."""
        with self._lock:
            for pool in self._pools.values():
                pool.clear()
            self._pools.clear()

    def _pool(self, url: str) -> urllib3.PoolManager:
        parts = urlsplit(url)
        folder = self._access.certificates / parts.netloc
        server = parts.netloc if parts.scheme == "https" and folder.is_dir() else parts.scheme
        proxy = _proxy(url)
        with self._lock:
            if (server, proxy) not in self._pools:
                tls = _tls(self._access, folder) if parts.scheme == "https" else None
                self._pools[server, proxy] = _new_pool(proxy, tls)
            return self._pools[server, proxy]


def _new_pool(proxy: str, tls: ssl.SSLContext | None) -> urllib3.PoolManager:
    if not proxy:
        return urllib3.PoolManager(maxsize=_POOL, ssl_context=tls)
    try:
        account = urlsplit(proxy)
        headers = None
        if account.username:
            pair = f"{unquote(account.username)}:{unquote(account.password or '')}"
            headers = urllib3.make_headers(proxy_basic_auth=pair)
        return urllib3.ProxyManager(proxy, maxsize=_POOL, ssl_context=tls, proxy_headers=headers)
    except (ValueError, urllib3.exceptions.HTTPError) as error:
        raise RegistryError(f"{without_credentials(proxy)}: not a proxy") from error


class _Received(Response):
    def __init__(self, response: urllib3.BaseHTTPResponse, request: Request) -> None:
        super().__init__(response.status, response.headers, request.url)
        self._response = response
        self._has_body = request.method != "HEAD"

    def chunks(self) -> Iterator[bytes]:
        promised = number(self.headers.get("Content-Length", "")) if self._has_body else None
        came = 0
        patience = Patience()
        try:
            while chunk := self._response.read1(CHUNK_BYTES, decode_content=False):
                came += len(chunk)
                patience.count(len(chunk))
                yield chunk
        except _FAILURES as error:
            raise _failure(error, self.url) from error
        if promised is not None and came < promised:
            raise TransientError(f"{came} of {promised} bytes came")

    def close(self) -> None:
        if not self._has_body:
            self._response.drain_conn()  # nothing comes, and the connection serves again
        self._response.close()
        self._response.release_conn()


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


def _proxy(url: str) -> str:
    """The proxy that the process's environment names for `url`, or none."""
    parts = urlsplit(url)
    if is_loopback(parts.netloc) or not any(x.lower().endswith("_proxy") for x in os.environ):
        return ""
    from requests.utils import get_environ_proxies, select_proxy  # noqa: PLC0415 - they take long

    found = select_proxy(url, get_environ_proxies(url)) or ""
    return found if not found or "://" in found else f"http://{found}"


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
    if system.cafile or system.capath:
        return None
    from requests.utils import DEFAULT_CA_BUNDLE_PATH  # noqa: PLC0415 - most systems have CAs

    return str(DEFAULT_CA_BUNDLE_PATH)


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
    """The error and what led to it, the outermost first; urllib3 nests them in several ways."""
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
    # The texts of urllib3 quote whole URLs: the system's own word, or the class, says enough.
    for cause in reversed(causes):
        if isinstance(cause, OSError) and cause.strerror and not isinstance(cause, ssl.SSLError):
            return cause.strerror
    return type(causes[-1]).__name__
