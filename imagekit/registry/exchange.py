# SPDX-License-Identifier: Apache-2.0
"""What is sent to a registry and what comes back, whichever library carries it."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Protocol

from imagekit.errors import RegistryError
from imagekit.values import frozen

_DIGITS = 18


class Body(Protocol):
    """Bytes to send, of known length."""

    @property
    def size_bytes(self) -> int: ...

    def chunks(self) -> Iterator[bytes]:
        """All of it, anew with each call."""


@frozen
class Bytes:
    """A small body."""

    data: bytes = field(repr=False)

    @property
    def size_bytes(self) -> int:
        return len(self.data)

    def chunks(self) -> Iterator[bytes]:
        yield self.data


@frozen
class Request:
    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Body | None = None


class Response(abc.ABC):
    """An answer whose body has yet to come. Close it, however far it was read."""

    def __init__(self, status: int, headers: Mapping[str, str], url: str) -> None:
        self.status = status
        self.headers = headers
        self.url = url

    @abc.abstractmethod
    def chunks(self) -> Iterator[bytes]:
        """The body as it comes. Raises TransientError where it ends early; can be read once."""

    @abc.abstractmethod
    def close(self) -> None: ...

    def read(self, limit_bytes: int, doing: str) -> bytes:
        """The whole body. Raises RegistryError where it is longer than `limit_bytes`."""
        data = self.beginning(limit_bytes + 1)
        if len(data) > limit_bytes:
            raise RegistryError(
                f"{doing}: the answer has more than {limit_bytes} bytes", status=self.status
            )
        return data

    def beginning(self, limit_bytes: int) -> bytes:
        """The body, or its first bytes if it is longer."""
        data = bytearray()
        for chunk in self.chunks():
            data += chunk
            if len(data) > limit_bytes:
                break
        return bytes(data[:limit_bytes])


def number(text: str) -> int | None:
    """The number in a header; None for anything else, and for what no size can be."""
    return int(text) if text.isdecimal() and len(text) <= _DIGITS else None


@frozen
class Answer:
    """A small answer, whole. The names in `headers` are found in any case."""

    status: int
    headers: Mapping[str, str]
    url: str
    body: bytes = b""
