# SPDX-License-Identifier: Apache-2.0
"""Questions that an engine answers at once, without a library for HTTP, which loads slowly.

They are HTTP/1.0 (RFC 1945): an answer then ends with its connection, and has no framing.
"""

from __future__ import annotations

from collections.abc import Mapping

from imagekit.buildkit.endpoint import Endpoint
from imagekit.errors import EngineError
from imagekit.values import frozen

_LIMIT_BYTES = 16 << 20
_CHUNK_BYTES = 1 << 16
_STATUS_LINE_WORDS = 2


@frozen
class Answer:
    """`headers` are by their names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def ask(endpoint: Endpoint, path: str, seconds: float) -> Answer:
    """What the engine says to a GET of `path`.

    Raises EngineError where it says nothing for `seconds`, or nothing of HTTP.
    """
    try:
        with endpoint.connect() as connection:
            connection.settimeout(seconds)
            connection.sendall(f"GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
            data = bytearray()
            while len(data) < _LIMIT_BYTES and (chunk := connection.recv(_CHUNK_BYTES)):
                data += chunk
    except OSError as error:
        said = error.strerror or error
        raise EngineError(f"asking the Docker Engine at {endpoint.url}: {said}") from error
    head, _, body = bytes(data).partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) < _STATUS_LINE_WORDS or not words[0].startswith("HTTP/"):
        raise EngineError(f"asking the Docker Engine at {endpoint.url}: {first[:200]!r} is no HTTP")
    pairs = (line.partition(":")[::2] for line in lines)
    headers = {name.strip().lower(): value.strip() for name, value in pairs}
    return Answer(int(words[1]) if words[1].isdigit() else 0, headers, body)
