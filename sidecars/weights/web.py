# SPDX-License-Identifier: Apache-2.0
"""GET over HTTP and TLS for large files: ranges, few redirects, and keys that stay with their host.

Proxies and certificates are the environment's (HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE).
"""

from __future__ import annotations

import http.client
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ..errors import FilesError

ATTEMPTS = 6
"""How many in a row may fail without a byte of progress."""
_BACKOFF_SECONDS, _LONGEST_WAIT_SECONDS = 0.2, 20.0
_TIMEOUT_SECONDS = 60
_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
_LARGEST_DOCUMENT_BYTES = 64 * 1024**2
Result = TypeVar("Result")


class TransientError(OSError):
    """Worth another attempt, after `wait_seconds` if the server asked for that."""

    def __init__(self, text: str, wait_seconds: float = 0) -> None:
        super().__init__(text)
        self.wait_seconds = wait_seconds


class StatusError(FilesError):
    """An answer that stays what it is."""

    def __init__(self, place: str, status: int, headers: Any) -> None:
        super().__init__(f"{place} answers {status}", hint=_HINTS.get(status))
        self.status = status
        self.headers = headers


_HINTS = {
    401: "a token is missing or wrong: HF_TOKEN, or DOCKER_AUTH_CONFIG for a registry",
    403: "the token is not allowed to read this, or its terms were not accepted",
    404: "look for a misspelling; what is private is not found without a token",
}


@contextmanager
def opened(
    url: str, headers: Mapping[str, str] | None = None, start: int = 0, end: int | None = None
) -> Iterator[Any]:
    """The answer to a GET of all, or of the bytes from `start` to before `end`.

    It may be all though a part was asked for: 206 says that it is the part. Raises TransientError,
    or StatusError for what another attempt would not change.
    """
    asked = {"Accept-Encoding": "identity", **(headers or {})}
    if start or end is not None:
        asked["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
    request = urllib.request.Request(url, headers=asked)  # noqa: S310 - the opener knows no others
    place = without_query(url)
    try:
        with _opener().open(request, timeout=_TIMEOUT_SECONDS) as response:
            yield response
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in _TRANSIENT:
            wait = error.headers.get("Retry-After", "")
            seconds = float(wait) if wait.isdigit() else 0.0
            raise TransientError(f"{place} answers {error.code}", seconds) from None
        raise StatusError(place, error.code, error.headers) from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise FilesError(f"{place}: {error.reason}") from error
        raise TransientError(f"{place}: {error.reason}") from error
    except (http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
        raise TransientError(f"{place}: {str(error) or type(error).__name__}") from error


def document(url: str, headers: Mapping[str, str], until: float) -> tuple[bytes, Any]:
    """A small answer, whole, with its headers."""

    def attempt() -> tuple[bytes, Any]:
        with opened(url, headers) as response:
            data: bytes = response.read(_LARGEST_DOCUMENT_BYTES + 1)
            if len(data) > _LARGEST_DOCUMENT_BYTES:
                raise FilesError(f"{without_query(url)}: the answer is too long")
            return data, response.headers

    return retried(attempt, until)


def retried(attempt: Callable[[], Result], until: float, done: Callable[[], int] = int) -> Result:
    """Try again what may help, until `until`; `done` tells of progress."""
    failures = 0
    while True:
        before = done()
        try:
            return attempt()
        except TransientError as error:
            failures = 1 if done() > before else failures + 1
            wait = max(error.wait_seconds, _BACKOFF_SECONDS * 2 ** (failures - 1))
            wait = min(wait, _LONGEST_WAIT_SECONDS)
            if failures >= ATTEMPTS or time.monotonic() + wait > until:
                raise FilesError(f"{error}, {failures} times in a row") from error
            time.sleep(wait)


def without_query(url: str) -> str:
    """For texts: a query may be a signature."""
    return url.partition("?")[0]


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = 5

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        """A key goes to the host that it is for, and never from TLS to plain HTTP."""
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if old.scheme == "https" and new.scheme != "https":
            raise FilesError(f"{without_query(req.full_url)} redirects from TLS to plain HTTP")
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is not None and (old.scheme, old.netloc) != (new.scheme, new.netloc):
            request.remove_header("Authorization")
        return request


@cache
def _opener() -> urllib.request.OpenerDirector:
    authorities = os.environ.get("SSL_CERT_FILE") or os.environ.get("REQUESTS_CA_BUNDLE")
    context = ssl.create_default_context(cafile=authorities or None)
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=context),
        urllib.request.HTTPDefaultErrorHandler(),
        _Redirects(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener
