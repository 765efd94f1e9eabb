# SPDX-License-Identifier: Apache-2.0
"""One HTTP request at a time, over requests: what came, and whether asking again may help.

Apart from imagekit.fetch because requests takes long to import, and most builds fetch nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import requests

from imagekit.errors import FetchError
from imagekit.urls import without_credentials

CHUNK_BYTES = 1 << 18
_TIMEOUT_SECONDS = (15, 60)
_RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504})
_local = threading.local()


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
    headers = {"Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    try:
        with _session().get(
            url, headers=headers, stream=True, timeout=_TIMEOUT_SECONDS
        ) as response:
            _refuse(response, url)
            if offset and response.status_code != 206:
                yield b""
            yield from response.iter_content(CHUNK_BYTES)
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
        raise FetchError(f"{without_credentials(url)}: not a URL that can be fetched") from error
    except requests.exceptions.SSLError as error:
        raise FetchError(
            f"{without_credentials(url)}: the server's certificate is not trusted",
            hint="REQUESTS_CA_BUNDLE names the CA bundle of a network with its own CA",
        ) from error
    except (requests.RequestException, OSError) as error:
        raise TransientError(_reason(error)) from error


def _refuse(response: requests.Response, url: str) -> None:
    status = response.status_code
    if status in _RETRYABLE:
        after = response.headers.get("Retry-After", "")
        wait = min(float(after), 60.0) if after.isdigit() else None
        raise TransientError(f"HTTP {status} {response.reason}", wait)
    if status >= 400:
        raise FetchError(f"{without_credentials(url)}: HTTP {status} {response.reason}")


def _reason(error: Exception) -> str:
    # requests quotes the whole URL in its texts, credentials and all: the class says enough.
    cause = error.__cause__ or error.__context__ or error
    return f"{type(error).__name__} ({type(cause).__name__})"


def _session() -> requests.Session:
    if not hasattr(_local, "session"):
        _local.session = requests.Session()
    session: requests.Session = _local.session
    return session
