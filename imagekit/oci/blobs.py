# SPDX-License-Identifier: Apache-2.0
"""Blobs by digest in a place that is not ours, believed only after they were checked."""

from __future__ import annotations

import hashlib
import io
from typing import Any, BinaryIO, Protocol, cast

from imagekit.errors import IntegrityError
from imagekit.oci.descriptor import Descriptor
from imagekit.oci.document import LIMIT_BYTES, Document
from imagekit.values import frozen


class BlobSource(Protocol):
    """Where the blobs of images lie; digests that come in were checked for their form."""

    def size_bytes(self, digest: str) -> int | None:
        """Length of a blob, or None where it is missing."""

    def open(self, digest: str) -> BinaryIO:
        """Open a blob that exists; the caller closes it."""


@frozen
class BlobLayer:
    """A layer in a `BlobSource`; reading it to its end proves its digest, or raises."""

    source: BlobSource
    digest: str
    diff_id: str
    size_bytes: int
    media_type: str

    def open(self) -> BinaryIO:
        stream = self.source.open(self.digest)
        checked = CheckedStream(stream, self.digest, self.size_bytes)
        return cast("BinaryIO", io.BufferedReader(checked, 1 << 18))


class CheckedStream(io.RawIOBase):
    """Passes bytes through; raises IntegrityError at their end unless they are what was promised.

    Closing it closes `stream`.
    """

    def __init__(self, stream: BinaryIO, digest: str, size_bytes: int) -> None:
        super().__init__()
        self._stream = stream
        self._promised = digest
        self._left = size_bytes
        self._digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        self._left -= len(data)
        self._digest.update(data)
        if self._left < 0 or (not data and self._left):
            raise IntegrityError(f"blob {self._promised}: its size is not the one promised")
        if not data and self._promised != "sha256:" + self._digest.hexdigest():
            raise IntegrityError(f"blob {self._promised}: its bytes have another digest")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


def read_document(source: BlobSource, descriptor: Descriptor, what: str) -> bytes:
    """The bytes of a manifest, config or index, checked."""
    if descriptor.size_bytes > LIMIT_BYTES:
        raise IntegrityError(f"{what} {descriptor.digest}: larger than {LIMIT_BYTES} bytes")
    require(source, descriptor)
    with source.open(descriptor.digest) as stream:
        checked = CheckedStream(stream, descriptor.digest, descriptor.size_bytes)
        return checked.readall()


def read_json(source: BlobSource, descriptor: Descriptor, what: str) -> tuple[bytes, Document]:
    data = read_document(source, descriptor, what)
    return data, Document.parse(data, f"{what} {descriptor.digest}")


def require(source: BlobSource, descriptor: Descriptor) -> None:
    """Raise IntegrityError unless the blob is there, with the size that its descriptor says."""
    size_bytes = source.size_bytes(descriptor.digest)
    if size_bytes is None:
        raise IntegrityError(f"blob {descriptor.digest}: missing")
    if size_bytes != descriptor.size_bytes:
        raise IntegrityError(
            f"blob {descriptor.digest}: {size_bytes} bytes where {descriptor.size_bytes} "
            "were promised"
        )
