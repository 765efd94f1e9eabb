# SPDX-License-Identifier: Apache-2.0
"""One download at a time: what came, and whether asking again may help.

Credentials are those of the URL, or a netrc's for its host, and stay with the server they are for.
Apart from imagekit.fetch because HTTP takes long to import, and most builds fetch nothing.
"""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import cache
from ssl import SSLContext
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit, urlunsplit

from imagekit.errors import FetchError
from imagekit.http.failures import UnansweredError
from imagekit.http.pool import Pool, Received
from imagekit.http.trust import tls_context
from imagekit.urls import without_credentials

_REDIRECTS = 10
_REDIRECTING = frozenset({301, 302, 303, 307, 308})
_RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504})
_SENT = "!$%&'()*+,/:;=?@[]~"
"""Characters that are sent as they are: a `%` stands for what was encoded already."""

_HEADERS = {"User-Agent": "imagekit", "Accept-Encoding": "identity"}

_lock = threading.Lock()


@cache
def _trusted() -> SSLContext:
    return tls_context(os.environ)


def _trust(_: str) -> SSLContext:
    with _lock:  # read once, however many threads begin
        return _trusted()


_POOL = Pool(_trust)


class TransientError(Exception):
    """Worth another try, after `wait_seconds` where the server named a time."""

    def __init__(self, reason: str, wait_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds


def body(url: str, offset: int) -> Iterator[bytes]:
    """Chunks of the body from `offset`; an empty chunk first says that it starts at 0 after all.

    Raises:
        TransientError: another try may help.
        FetchError: it won't.
    """
    ranged = {"Range": f"bytes={offset}-"} if offset else {}
    try:
        with closing(_followed(url, {**_HEADERS, **ranged})) as answer:
            _refuse(answer, url)
            if offset and answer.status != 206:
                yield b""
            yield from answer.chunks()
    except UnansweredError as error:
        if error.lasting:
            raise FetchError(str(error), hint=error.hint) from error
        raise TransientError(str(error)) from error


def _followed(url: str, headers: Mapping[str, str]) -> Received:
    here = url
    for _ in range(_REDIRECTS):
        answer = _POOL.send("GET", _quoted(here), {**headers, **_authorization(here, url)})
        target = answer.headers.get("Location", "")
        if answer.status not in _REDIRECTING or not target:
            return answer
        answer.close()
        # Headers are read as Latin-1: these are the bytes that came.
        here = urljoin(here, quote(target.encode("latin-1"), f"{_SENT}#"))
    raise FetchError(f"{without_credentials(url)}: redirected more than {_REDIRECTS} times")


def _quoted(url: str) -> str:
    """With what no request can hold, as spaces and other letters, percent-encoded (RFC 3986)."""
    parts = urlsplit(url)
    return urlunsplit(
        parts._replace(path=quote(parts.path, _SENT), query=quote(parts.query, _SENT))
    )


def _refuse(answer: Received, url: str) -> None:
    status = answer.status
    if status in _RETRYABLE:
        after = answer.headers.get("Retry-After", "")
        wait = min(float(after), 60.0) if after.isdigit() else None
        raise TransientError(f"HTTP {status} {answer.reason}", wait)
    if status >= 400:
        raise FetchError(f"{without_credentials(url)}: HTTP {status} {answer.reason}")


def _authorization(here: str, first: str) -> dict[str, str]:
    """For `here`, to which `first` led."""
    parts, asked = urlsplit(here), urlsplit(first)
    if not parts.username and _origin(parts) == _origin(asked):
        parts = asked
    pair = _of_netrc(parts.hostname or "")
    if parts.username:
        pair = unquote(parts.username), unquote(parts.password or "")
    if pair is None:
        return {}
    return {"Authorization": f"Basic {base64.b64encode(':'.join(pair).encode()).decode()}"}


def _origin(parts: SplitResult) -> tuple[str, str]:
    return parts.scheme, parts.netloc.rpartition("@")[2].lower()


def _of_netrc(host: str) -> tuple[str, str] | None:
    """User and password of NETRC, ~/.netrc or ~/_netrc; a file that can't be read has none."""
    named = os.environ.get("NETRC")
    # A user whom the system does not know may have no home; then `~` stays as it is.
    paths = map(os.path.expanduser, [named] if named else ["~/.netrc", "~/_netrc"])
    path = next(filter(os.path.isfile, paths), None)
    if path is None:
        return None
    import netrc  # noqa: PLC0415 - few have one

    try:
        found = netrc.netrc(path).authenticators(host)
    except (OSError, netrc.NetrcParseError):
        return None
    return None if found is None else (found[0] or "", found[2] or "")
