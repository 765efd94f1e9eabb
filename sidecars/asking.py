# SPDX-License-Identifier: Apache-2.0
"""One HTTP request to a server of this pod: no proxies, no redirects, no more time than there is.

A socket's own timeout starts again with every byte, so a server that drips would hold a client for
ever; here the whole conversation is cut off when its time is up.
"""

from __future__ import annotations

import http.client
import json
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

_LARGEST_BYTES = 4 * 1024**2
_CHUNK_BYTES = 65536
FAILURES = (OSError, http.client.HTTPException)
"""What a request raises when no whole answer came: refused, cut off, timed out, not HTTP."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes

    def document(self) -> Any:
        """The body as JSON; None if it is none, as half an answer is."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def excerpt(self) -> str:
        return " ".join(self.body[:300].decode(errors="replace").split())


class Body(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server listens, and the key that it asks for."""

    url: str
    key: str | None = None
    clock: Callable[[], float] = time.monotonic

    def ask(self, method: str, path: str, data: Any = None, *, until: float) -> Answer:
        """The whole answer. Raises one of FAILURES; TimeoutError when `until` has come."""
        with self._opened(method, path, data, until) as response:
            body = b"".join(_chunks(response))
            self._left(until)
            return Answer(response.status, body)

    def upload(self, path: str, body: Body, size: int, *, until: float) -> Answer:
        """POST of `size` bytes, which are read as they are sent. Raises as `ask` does."""
        with self._opened("POST", path, body, until, size=size) as response:
            return Answer(response.status, b"".join(_chunks(response)))

    def stream(
        self, path: str, data: Any, *, until: float, silence_seconds: float
    ) -> Iterator[Answer]:
        """POST, and each line of the answer as it comes. Raises as `ask` does."""
        with self._opened("POST", path, data, until, silence_seconds) as response:
            rest = b""
            for chunk in _chunks(response, limit_bytes=math.inf):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (Answer(response.status, line) for line in lines if line.strip())
                if len(rest) > _LARGEST_BYTES:
                    raise http.client.HTTPException("a line is too long")
            self._left(until)
            if rest.strip():
                yield Answer(response.status, rest)

    @contextmanager
    def _opened(
        self,
        method: str,
        path: str,
        data: Any,
        until: float,
        silence_seconds: float = math.inf,
        size: int | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """`data` is JSON, or with a `size` a file of so many bytes."""
        place = urlsplit(self.url)
        left = self._left(until)
        connection = http.client.HTTPConnection(
            place.hostname or "",
            place.port,
            timeout=min(left, silence_seconds),
            blocksize=_CHUNK_BYTES,
        )
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        body = data
        if size is not None:
            headers |= {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        elif data is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(data).encode()
        with closing(connection):
            connection.connect()
            with _cut_off(connection.sock, left):
                connection.request(method, place.path.rstrip("/") + path, body, headers)
                response = connection.getresponse()
                with closing(response):
                    yield response

    def _left(self, until: float) -> float:
        left = until - self.clock()
        if left <= 0:
            raise TimeoutError("timed out")
        return left


@contextmanager
def _cut_off(sock: socket.socket, seconds: float) -> Iterator[None]:
    """End the conversation after so long, wherever it is."""

    def end() -> None:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _chunks(
    response: http.client.HTTPResponse, limit_bytes: float = _LARGEST_BYTES
) -> Iterator[bytes]:
    """The body as it comes; raises where it ends before its length or grows beyond the limit."""
    size = 0
    while chunk := response.read1(_CHUNK_BYTES):
        size += len(chunk)
        if size > limit_bytes:
            raise http.client.HTTPException("the answer is too long")
        yield chunk
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
