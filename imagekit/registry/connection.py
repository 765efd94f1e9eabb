# SPDX-License-Identifier: Apache-2.0
"""Requests to one registry: where it is, with its authorization, redirects, and tries anew.

Authorization goes to the registry's own scheme, host and port, and to nothing else, wherever it
redirects to.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field, replace
from typing import Protocol
from urllib.parse import urljoin, urlsplit

from imagekit.errors import RegistryError
from imagekit.registry.access import Access
from imagekit.registry.auth import Authorizer, Rights
from imagekit.registry.errors import RETRYABLE, Subject, TransientError, retry_after
from imagekit.registry.exchange import Answer, Body, Request, Response
from imagekit.registry.places import Places
from imagekit.registry.reference import is_loopback, server_of
from imagekit.urls import without_credentials
from imagekit.values import frozen

_REDIRECTS = 5
_REDIRECTING = frozenset({301, 302, 303, 307, 308})
_URL_LIMIT = 16384
_ERROR_LIMIT = 65536
_TOKEN_LIMIT = 1 << 20


class Sender(Protocol):
    """One HTTP exchange; see imagekit.registry.transport."""

    def send(self, request: Request) -> Response: ...

    def close(self) -> None: ...


@frozen
class Call:
    """A request to the registry.

    Attributes:
        target: a path, or the URL that the registry itself named.
        expected: statuses that are returned; others of 400 and more become errors.
        again: False for a request that can't be sent twice as it is.
    """

    method: str
    target: str
    rights: Rights
    subject: Subject
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Body | None = None
    expected: frozenset[int] = frozenset()
    limit_bytes: int = _ERROR_LIMIT
    again: bool = True


class Connection:
    """To one registry. Any thread may call it."""

    def __init__(self, host: str, access: Access, sender: Callable[[], Sender]) -> None:
        self.host = host
        self.access = access
        self.places = Places(access.hints and access.hints / _folder(host))
        self._sender = sender
        self._lock = threading.Lock()
        self._base: str | None = None
        self._authorizer = Authorizer(host, access, self._exchange)
        self.dispensable = False
        """Whether a registry that has never answered yet is given up at once."""
        self._answered = False

    def call(self, call: Call) -> Answer:
        """The whole answer.

        Raises:
            RegistryError: the registry refuses, or could not be reached.
            TransientError: `call.again` is False, and another try may help.
        """

        def attempt() -> Answer:
            with self.opened(call) as response:
                body = b""
                if call.method != "HEAD":
                    body = response.read(call.limit_bytes, call.subject.doing)
                return Answer(response.status, response.headers, response.url, body)

        if not call.again:
            return attempt()
        hasty = self.dispensable and not self._answered
        pace = replace(self.access.pace, attempts=1) if hasty else self.access.pace
        return pace.retrying(call.subject.doing, attempt)

    @contextlib.contextmanager
    def opened(self, call: Call) -> Iterator[Response]:
        """The answer with its body yet to come; one try. Raises as `call` does."""
        response = self._authorized(call)
        with contextlib.closing(response):
            _raise_if_transient(response)
            if response.status >= 400 and response.status not in call.expected:
                body = response.beginning(_ERROR_LIMIT)
                answer = Answer(response.status, response.headers, response.url, body)
                raise self.refused(call.subject, answer)
            yield response

    def refused(self, subject: Subject, answer: Answer) -> RegistryError:
        """The error that an unwanted answer stands for, without secrets in it."""
        return subject.refused(answer.status, answer.body, self._authorizer.clean)

    def _authorized(self, call: Call) -> Response:
        base = self._located()
        used = self._authorizer.header(call.rights)
        response = self._follow(call, base, used)
        # What another host says, to which the registry redirected, gets no credentials.
        if response.status != 401 or _origin(response.url) != _origin(base):
            return response
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(response.close)
            header = response.headers.get("WWW-Authenticate", "")
            if not header or not self._authorizer.challenged(header, call.rights, used):
                cleanup.pop_all()
                return response
        return self._follow(call, base, self._authorizer.header(call.rights))

    def _follow(self, call: Call, base: str, authorization: str | None) -> Response:
        url = self._joined(base, call.target, base, call.subject)
        for _ in range(_REDIRECTS + 1):
            headers = dict(call.headers)
            if authorization is not None and _origin(url) == _origin(base):
                headers["Authorization"] = authorization
            response = self._sender().send(Request(call.method, url, headers, call.body))
            self._answered = True
            if response.status not in _REDIRECTING or call.method not in ("GET", "HEAD"):
                return self._not_redirected(response, call)
            with contextlib.closing(response):
                target = response.headers.get("Location", "")
            url = self._joined(url, target, base, call.subject)
        raise RegistryError(f"{call.subject.doing}: redirected more than {_REDIRECTS} times")

    def _not_redirected(self, response: Response, call: Call) -> Response:
        if response.status in _REDIRECTING:
            response.close()
            raise RegistryError(
                f"{call.subject.doing}: the registry redirects what is written (HTTP "
                f"{response.status}), which is not followed",
                status=response.status,
            )
        return response

    def _joined(self, here: str, target: str, base: str, subject: Subject) -> str:
        """The URL of `target`, if a request may go there: never from TLS to plain HTTP."""
        try:
            url = urljoin(here, target)
            parts = urlsplit(url)
            server, named = parts.netloc, bool(parts.hostname) and parts.port != 0
        except ValueError:
            url, parts, server, named = "", urlsplit(""), "", False
        readable = url.isascii() and url.isprintable() and " " not in url
        if not named or "@" in server or len(url) > _URL_LIMIT or not readable:
            raise RegistryError(f"{subject.doing}: the registry names a URL that makes no sense")
        local = is_loopback(server) and base.startswith("http:")
        plain_allowed = (
            local or server in self.access.insecure_hosts or _origin(url) == _origin(base)
        )
        if parts.scheme == "https" or (parts.scheme == "http" and plain_allowed):
            return url
        raise RegistryError(
            f"{subject.doing}: the registry sends to {without_credentials(url)}, which is not TLS",
            hint="a proxy before the registry has to pass X-Forwarded-Proto on",
        )

    def _located(self) -> str:
        with self._lock:
            if self._base is None:
                server = server_of(self.host)
                self._base = f"{self._scheme(server)}://{server}/"
            return self._base

    def _scheme(self, server: str) -> str:
        if server in self.access.insecure_hosts:
            return "http"
        return self._scheme_here(server) if is_loopback(server) else "https"

    def _scheme_here(self, server: str) -> str:
        """On this machine nobody listens in, so a first question without secrets may be plain."""
        try:
            # What servers that speak TLS answer to those who don't.
            return "https" if self._knock(f"http://{server}/v2/") == 400 else "http"
        except TransientError as error:
            plain_error = error
        try:
            self._knock(f"https://{server}/v2/")
        except TransientError:
            raise plain_error from None
        return "https"

    def _knock(self, url: str) -> int:
        with contextlib.closing(self._sender().send(Request("GET", url))) as response:
            return response.status

    def _exchange(self, request: Request) -> Answer:
        """One exchange as it stands, without authorization and redirects; the answer is small."""
        with contextlib.closing(self._sender().send(request)) as response:
            _raise_if_transient(response)
            body = response.read(_TOKEN_LIMIT, without_credentials(request.url))
            return Answer(response.status, response.headers, response.url, body)


def _raise_if_transient(response: Response) -> None:
    if response.status in RETRYABLE:
        wait = retry_after(response.headers.get("Retry-After", ""))
        raise TransientError(f"HTTP {response.status}", wait)


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or default


def _folder(host: str) -> str:
    return hashlib.sha256(host.encode()).hexdigest()[:32]
