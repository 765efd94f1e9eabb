# SPDX-License-Identifier: Apache-2.0
"""What goes wrong with registries: for good, or only for now.

What a registry writes is data of strangers: it is cut short, freed of control characters and of
what could be a secret before people see it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping

from imagekit.errors import RegistryError
from imagekit.urls import masked
from imagekit.values import frozen

RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504})
_TEXT_LIMIT = 300
_SIZE_HINT = "the registry, or a proxy before it, limits the size of an upload"
_HINTS: Mapping[int, str] = {
    404: "is the repository's name right, and does it have to be created first?",
    405: "this registry, or its mirror, can only be read",
    413: _SIZE_HINT,
}


class TransientError(Exception):
    """Worth another try, after `wait_seconds` where the server named a time."""

    def __init__(self, reason: str, wait_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds


@frozen
class Subject:
    """What is being done, as errors say it: `pushing HOST/REPOSITORY`; one may do it, or not."""

    doing: str
    host: str
    may: str = "read there"

    def refused(
        self, status: int, body: bytes, clean: Callable[[str], str] = lambda text: text
    ) -> RegistryError:
        """The error that an answer stands for.

        Args:
            status: of HTTP.
            body: of the answer, the registry's own error document in it if it sent one.
            clean: replaces the secrets that the connection knows.
        """
        code, message = _first_error(body)
        said = plain(clean(f"{code} {message}".strip()))
        text = f"{self.doing}: HTTP {status}" + (f": {said}" if said else "")
        if status in (401, 403):
            text = f"{self.doing}: not allowed to {self.may} ({text.partition(': ')[2]})"
            hint: str | None = f"log in with `docker login {self.host}`"
        else:
            hint = _HINTS.get(status)
        return RegistryError(text, hint=hint, status=status, code=plain(clean(code)))


def plain(text: str) -> str:
    """`text` on one line, printable, without credentials in its URLs, and not long."""
    printable = "".join(
        letter if letter.isprintable() else " " for letter in text[: 4 * _TEXT_LIMIT]
    )
    short = masked(printable)
    return short if len(short) <= _TEXT_LIMIT else short[:_TEXT_LIMIT] + "..."


def retry_after(value: str) -> float | None:
    """The seconds that a header Retry-After asks for, as a number or a date."""
    text = value[:100].strip()
    if text.isdecimal():
        return float(text[:9])
    import email.utils  # noqa: PLC0415 - few answers name a date

    date = email.utils.parsedate_tz(text)
    return None if date is None else max(0.0, email.utils.mktime_tz(date) - time.time())


def _first_error(body: bytes) -> tuple[str, str]:
    """Code and message of the first error in a registry's document; empty where there is none."""
    try:
        errors = json.loads(body)["errors"]
        first = errors[0]
        found = (first.get("code"), first.get("message"))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return "", ""
    code, message = (item if isinstance(item, str) else "" for item in found)
    return code[:_TEXT_LIMIT], message[: 4 * _TEXT_LIMIT]
