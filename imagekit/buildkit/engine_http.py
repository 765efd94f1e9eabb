# SPDX-License-Identifier: Apache-2.0
"""Requests to an engine that take long or bring much, by the standard library's client."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from typing import IO

from imagekit.buildkit.endpoint import Endpoint
from imagekit.errors import EngineError


class _Connection(http.client.HTTPConnection):
    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__("docker")
        self._endpoint = endpoint

    def connect(self) -> None:
        self.sock = self._endpoint.connect()


def request(
    endpoint: Endpoint,
    method: str,
    path: str,
    body: IO[bytes] | None,
    headers: Mapping[str, str],
) -> http.client.HTTPResponse:
    """The response, to be read and closed by the caller; a body is sent as it is read.

    Raises EngineError where the engine can't be asked.
    """
    connection = _Connection(endpoint)
    sent = {"Connection": "close", **headers}
    try:
        connection.request(method, path, body, sent, encode_chunked=body is not None)
        return connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise EngineError(f"asking the Docker Engine at {endpoint.url}: {error!s:.200}") from error
