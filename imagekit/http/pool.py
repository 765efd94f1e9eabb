# SPDX-License-Identifier: Apache-2.0
"""Exchanges over connections that are kept."""

from __future__ import annotations

import select
import ssl
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.client import HTTPConnection, HTTPMessage, HTTPResponse, HTTPSConnection
from urllib.parse import SplitResult, urlsplit

from imagekit.http.failures import CARRIED, UnansweredError, not_a_url, unanswered
from imagekit.http.proxies import Proxy, proxy_for
from imagekit.values import frozen

CHUNK_BYTES = 1 << 18
_CONNECT_SECONDS = 15
_READ_SECONDS = 60
_KEPT = 16

Trust = Callable[[str], ssl.SSLContext]
"""The TLS context for HOST[:PORT]; may raise what is to be raised for the request."""


@frozen
class _Route:
    scheme: str
    server: str
    proxy: Proxy | None


class Pool:
    """Connections that wait for their next request; any thread may send one."""

    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        self._waiting: dict[_Route, list[HTTPConnection]] = {}
        self._lock = threading.Lock()
        weakref.finalize(self, _close, self._waiting)

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Iterable[bytes] | None = None,
        *,
        direct: bool = False,
    ) -> Received:
        """One exchange; close what comes back.

        Args:
            method: of HTTP.
            url: absolute; credentials in it are not sent.
            headers: with Content-Length where there is a body.
            body: sent piece by piece.
            direct: ask no proxy.

        Raises UnansweredError.
        """
        parts, proxy = _split(url), None
        if not direct:
            proxy = proxy_for(parts)
        route = _Route(parts.scheme, parts.netloc.rpartition("@")[2], proxy)
        target, sent = _target(parts), dict(headers)
        if proxy is not None and parts.scheme == "http":
            target, sent = f"http://{route.server}{target}", {**sent, **dict(proxy.headers)}
        connection = None
        try:
            connection = self._kept(route) or self._opened(route, parts)
            response = _exchanged(connection, method, target, sent, body)
        except (UnansweredError, *CARRIED, ValueError) as error:
            if connection is not None:
                connection.close()
            raise _as_unanswered(error, url) from error
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        return Received(response, url, lambda reusable: self._left(route, connection, reusable))

    def close(self) -> None:
        """Close what waits; the pool still works after that, and closes the rest at its end."""
        with self._lock:
            _close(self._waiting)

    def _kept(self, route: _Route) -> HTTPConnection | None:
        while True:
            with self._lock:
                waiting = self._waiting.get(route)
                connection = waiting.pop() if waiting else None
            if connection is None or not _dropped(connection):
                return connection
            connection.close()

    def _opened(self, route: _Route, parts: SplitResult) -> HTTPConnection:
        host, port = parts.hostname or "", parts.port
        at = (host, port) if route.proxy is None else (route.proxy.host, route.proxy.port)
        if route.scheme == "https":
            context = self._trust(route.server)
            made: HTTPConnection = HTTPSConnection(*at, timeout=_CONNECT_SECONDS, context=context)
            if route.proxy is not None:
                made.set_tunnel(host, port, dict(route.proxy.headers))
        else:
            made = HTTPConnection(*at, timeout=_CONNECT_SECONDS)
        made.connect()
        made.sock.settimeout(_READ_SECONDS)
        return made

    def _left(self, route: _Route, connection: HTTPConnection, reusable: bool) -> None:
        with self._lock:
            waiting = self._waiting.setdefault(route, [])
            if reusable and len(waiting) < _KEPT:
                waiting.append(connection)
                return
        connection.close()


class Received:
    """An answer whose body has yet to come. Close it, however far it was read."""

    def __init__(self, response: HTTPResponse, url: str, leave: Callable[[bool], object]) -> None:
        self.status = response.status
        self.reason = response.reason
        self.headers: Mapping[str, str] = _Headers(response.headers)
        self._response = response
        self._url = url
        self._leave: Callable[[bool], object] | None = leave

    def chunks(self) -> Iterator[bytes]:
        """The body as it comes; once only. Raises UnansweredError where it ends early."""
        promised, came = self._response.length, 0
        try:
            while chunk := self._response.read1(CHUNK_BYTES):
                came += len(chunk)
                yield chunk
        except CARRIED as error:
            raise unanswered(error, self._url) from error
        if promised is not None and came < promised:
            raise UnansweredError(f"{came} of {promised} bytes came")

    def close(self) -> None:
        """Give the connection back where nothing is left to come; else close it."""
        leave, self._leave = self._leave, None
        if leave is None:
            return
        response = self._response
        whole = response.isclosed() or response.length == 0
        response.close()
        leave(whole and not response.will_close)


class _Headers(Mapping[str, str]):
    """By names in any case; what came more than once is joined by commas (RFC 9110 section 5.3)."""

    def __init__(self, message: HTTPMessage) -> None:
        self._values: dict[str, str] = {}
        for name, text in message.items():
            key = name.lower()
            self._values[key] = f"{self._values[key]}, {text}" if key in self._values else text

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def _close(waiting: dict[_Route, list[HTTPConnection]]) -> None:
    for connections in waiting.values():
        for each in connections:
            each.close()
    waiting.clear()


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise not_a_url(url) from error
    if not sound:
        raise not_a_url(url)
    return parts


def _target(parts: SplitResult) -> str:
    return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"


def _exchanged(
    connection: HTTPConnection,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: Iterable[bytes] | None,
) -> HTTPResponse:
    try:
        connection.request(method, target, body, headers)
    except (BrokenPipeError, ConnectionResetError) as error:
        # Servers answer before a body that they refuse has come, and hang up.
        try:
            return connection.getresponse()
        except CARRIED:
            raise error from None
    return connection.getresponse()


def _dropped(connection: HTTPConnection) -> bool:
    """Whether the server has closed it meanwhile, or says what nobody asked for."""
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))


def _as_unanswered(error: Exception, url: str) -> UnansweredError:
    if isinstance(error, UnansweredError):
        return error
    # A header or a host name that can't be sent as it is.
    return not_a_url(url) if type(error) in (ValueError, UnicodeError) else unanswered(error, url)
