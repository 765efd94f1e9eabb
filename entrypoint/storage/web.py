# SPDX-License-Identifier: Apache-2.0
"""http:// and https://, in the standard library: GET, PUT and DELETE, as for signed URLs.

What is transient is tried again: refused and broken connections, 408, 425, 429 and 5xx, a body that
ends early, a checksum that does not fit. A download goes on where it broke off if the server has
named the version (ETag or Last-Modified). Proxies and certificates are the environment's
(HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE, REQUESTS_CA_BUNDLE); redirects are few, and never to plain
HTTP from TLS.
"""

from __future__ import annotations

import os
import ssl
import urllib.request
from base64 import b64encode
from contextlib import contextmanager
from functools import cache
from hashlib import md5, new
from http.client import HTTPException
from time import sleep
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit, urlunsplit

from ..errors import UnsupportedError
from . import join, scratch, without_secrets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from email.message import Message as Headers

ATTEMPTS = 6
"""How many in a row may fail without a byte of progress."""
REDIRECTS = 5
TIMEOUT_SECONDS = 60
BACKOFF_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 20
_CHUNK = 1 << 20
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
_GONE = {404, 410}
_CHECKSUMS = {"md5": "md5", "sha-256": "sha256", "sha-512": "sha512"}


class TransientError(OSError):
    """Worth another attempt, after `wait_seconds` if the server asked for that."""

    def __init__(self, text: str, wait_seconds: float = 0) -> None:
        super().__init__(text)
        self.wait_seconds = wait_seconds


def fetch(uri: str) -> str:
    target = scratch(uri)
    with open(target, "xb") as file:
        _retried(_Download(uri, file))
    return target


def store(source: str | bytes, uri: str) -> None:
    if isinstance(source, str) and os.path.isdir(source):
        raise UnsupportedError(f"a directory can't be stored at {without_secrets(uri)}")
    _retried(_Upload(uri, source))


def clear(directory: str, names: Iterable[str]) -> None:
    for name in names:
        _retried(_Removal(join(directory, name)))


class _Download:
    def __init__(self, uri: str, file: IO[bytes]) -> None:
        self.uri = uri
        self.file = file
        self.done = 0
        self.version = ""
        self.checksums: dict[str, str] = {}

    def attempt(self) -> None:
        headers = {"Accept-Encoding": "identity"}
        if self.done and self.version:
            headers |= {"Range": f"bytes={self.done}-", "If-Range": self.version}
        with _answer(_request(self.uri, "GET", headers)) as response:
            size = self._begin(response.status, response.headers)
            while chunk := response.read(_CHUNK):
                self.file.write(chunk)
                self.done += len(chunk)
        if size is not None and self.done != size:
            raise TransientError(f"the answer ended after {self.done} of {size} bytes")
        self._verify()

    def _begin(self, status: int, headers: Headers) -> int | None:
        """Begin where the last answer broke off, or anew; return the full size."""
        span, _, size = headers.get("Content-Range", "").rpartition("/")
        if status == 206 and size.isdigit() and span == f"bytes {self.done}-{int(size) - 1}":
            return int(size)
        if status == 206:
            self.version = ""
            raise TransientError("the answer is not the range that was asked for")
        self.file.seek(0)
        self.file.truncate()
        self.done = 0
        etag = headers.get("ETag", "")
        self.version = headers.get("Last-Modified", "") if etag[:2] in ("", "W/") else etag
        self.checksums = _checksums(headers)
        length = headers.get("Content-Length", "")
        return int(length) if length.isdigit() else None

    def _verify(self) -> None:
        self.file.flush()
        for name, expected in self.checksums.items():
            if _digest(self.file.name, name) != expected:
                self.version = ""
                raise TransientError(f"the content is not what its {name} says")


class _Upload:
    def __init__(self, uri: str, source: str | bytes) -> None:
        self.uri = uri
        self.source = source
        self.done = 0

    def attempt(self) -> None:
        headers = {"Content-Type": "application/octet-stream"}
        if isinstance(self.source, bytes):
            checksum = b64encode(md5(self.source, usedforsecurity=False).digest()).decode()
            self._put(self.source, {**headers, "Content-MD5": checksum})
            return
        headers["Content-MD5"] = _digest(self.source, "md5")
        headers["Content-Length"] = str(os.path.getsize(self.source))
        with open(self.source, "rb") as file:
            self._put(file, headers)

    def _put(self, body: bytes | IO[bytes], headers: dict[str, str]) -> None:
        with _answer(_request(self.uri, "PUT", headers, body)) as response:
            response.read()


class _Removal:
    done = 0

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def attempt(self) -> None:
        try:
            with _answer(_request(self.uri, "DELETE", {})) as response:
                response.read()
        except FileNotFoundError:
            return


def _retried(work: _Download | _Upload | _Removal) -> None:
    failures = 0
    while True:
        before = work.done
        try:
            work.attempt()
        except TransientError as error:
            failures = 1 if work.done > before else failures + 1
            if failures >= ATTEMPTS:
                place = without_secrets(work.uri)
                raise OSError(f"{place}: {error}, {failures} times in a row") from error
            sleep(max(error.wait_seconds, BACKOFF_SECONDS * 2 ** (failures - 1)))
        else:
            return


def _request(
    uri: str, method: str, headers: dict[str, str], body: bytes | IO[bytes] | None = None
) -> urllib.request.Request:
    parts = urlsplit(uri)
    place = parts.netloc.rpartition("@")[2]
    bare = urlunsplit((parts.scheme.lower(), place, parts.path, parts.query, ""))
    # The table of schemes lets nothing else come here, and the opener has no other handlers.
    request = urllib.request.Request(bare, data=body, headers=headers, method=method)  # noqa: S310
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        word = b64encode(user.encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {word}")
    return request


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = REDIRECTS

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        if req.type == "https" and not newurl.lower().startswith("https://"):
            raise OSError(f"{without_secrets(req.full_url)} redirects from TLS to plain HTTP")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


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


@contextmanager
def _answer(request: urllib.request.Request) -> Iterator[Any]:
    """A response with a status of success; its failures, and those of reading it, by kind."""
    place = without_secrets(request.full_url)
    try:
        with _opener().open(request, timeout=TIMEOUT_SECONDS) as response:
            yield response
    except HTTPError as error:
        error.close()
        if error.code in _GONE:
            raise FileNotFoundError(f"nothing at {place}") from error
        text = f"{error.code} {error.reason}"
        if error.code in _TRANSIENT:
            raise TransientError(text, _asked_wait(error.headers)) from error
        raise OSError(f"{place}: {text}") from error
    except URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise OSError(f"{place}: {error.reason}") from error
        raise TransientError(str(error.reason)) from error
    except (HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
        raise TransientError(f"{type(error).__name__}: {error}") from error


def _asked_wait(headers: Headers) -> float:
    text = headers.get("Retry-After", "")
    return min(float(text), _LONGEST_WAIT_SECONDS) if text.isdigit() else 0


def _checksums(headers: Headers) -> dict[str, str]:
    """Those of the whole content that the server gives, in base64."""
    found = {}
    if headers.get("Content-MD5"):
        found["md5"] = headers["Content-MD5"].strip()
    for entry in headers.get("Repr-Digest", "").split(","):
        name, _, value = entry.strip().partition("=")
        if name.lower() in _CHECKSUMS:
            found[_CHECKSUMS[name.lower()]] = value.strip(":")
    return found


def _digest(path: str, name: str) -> str:
    computed = new(name, usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            computed.update(chunk)
    return b64encode(computed.digest()).decode()
