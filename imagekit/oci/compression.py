# SPDX-License-Identifier: Apache-2.0
"""From a layer's compressed bytes to its tar, with both digests proved on the way."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import importlib
import io
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from isal import igzip, isal_zlib

from imagekit.errors import IntegrityError
from imagekit.oci.blobs import CheckedStream
from imagekit.oci.layer import Layer

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_BROKEN: tuple[type[Exception], ...] = (
    EOFError,
    gzip.BadGzipFile,
    cast("type[Exception]", isal_zlib.error),
)


@contextlib.contextmanager
def uncompressed(layer: Layer, limit_bytes: int) -> Iterator[BinaryIO]:
    """The tar of `layer`; at the end of the block its digest, diff_id and size were proved.

    What the block has not read is read then. More than `limit_bytes` of tar is an
    IntegrityError.
    """
    with layer.open() as compressed:
        checked = CheckedStream(compressed, layer.digest, layer.size_bytes)
        source = io.BufferedReader(checked, 1 << 18)
        tar = _HashedTar(_decompressor(source), limit_bytes)
        yield cast("BinaryIO", tar)
        while tar.read(1 << 20):
            pass
        # A decompressor may stop before the end of the file; what follows would go unchecked.
        if source.read(1):
            raise IntegrityError(f"layer {layer.digest}: bytes after its end")
        if tar.diff_id != layer.diff_id:
            raise IntegrityError(f"layer {layer.digest}: its diff_id is not {layer.diff_id}")


def _decompressor(source: io.BufferedReader[Any]) -> BinaryIO:
    """By the first bytes, as the media type does not always tell the truth about them."""
    magic = source.peek(4)[:4]
    if magic.startswith(_GZIP):
        # Its stubs don't say what it takes.
        return cast("BinaryIO", cast("Any", igzip).IGzipFile(fileobj=source, mode="rb"))
    if magic == _ZSTD:
        return cast("BinaryIO", open_zstd(source))
    return cast("BinaryIO", source)


def open_zstd(source: io.BufferedReader[Any]) -> io.RawIOBase:
    """Raises for damage what the other decompressors raise: EOFError."""
    # Few images have such layers, and the module is large.
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    module = importlib.import_module(name)
    return _Zstd(module.ZstdFile(source), module.ZstdError)


class _Zstd(io.RawIOBase):
    def __init__(self, stream: BinaryIO, damage: type[Exception]) -> None:
        super().__init__()
        self._stream = stream
        self._damage = damage

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        try:
            return self._stream.read(-1 if size is None else size)
        except self._damage as error:
            raise EOFError(str(error)) from error

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _HashedTar(io.RawIOBase):
    """Full reads, one digest, one limit, and one kind of error for what decompressors raise."""

    def __init__(self, stream: BinaryIO, limit_bytes: int) -> None:
        super().__init__()
        self._stream = stream
        self._left = limit_bytes
        self._digest = hashlib.sha256()

    @property
    def diff_id(self) -> str:
        return "sha256:" + self._digest.hexdigest()

    def read(self, size: int | None = -1) -> bytes:
        wanted = -1 if size is None else size
        try:
            data = self._stream.read(wanted)
            # A short read is no end yet.
            while data and len(data) < wanted and (more := self._stream.read(wanted - len(data))):
                data += more
        except _BROKEN as error:
            raise IntegrityError(f"a layer does not decompress: {error}") from error
        self._left -= len(data)
        if self._left < 0:
            raise IntegrityError("a layer is larger than the limit for unpacking")
        self._digest.update(data)
        return data

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
