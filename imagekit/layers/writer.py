# SPDX-License-Identifier: Apache-2.0
"""Writes one layer: a tar in a gzip file of several members (RFC 1952, 2.2), in one pass.

What a wheel holds compressed is spliced in as it is, in a gzip member of its own; everything
else is compressed by the one pinned compressor.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, cast

import deflate
from isal import isal_zlib

from imagekit import interrupts
from imagekit.errors import IntegrityError
from imagekit.layers import tar
from imagekit.values import frozen

_LEVEL = 1
_MEMBER_BYTES = 1 << 20
# The package's stub calls its exception class an instance.
INFLATE_ERROR = cast("type[Exception]", isal_zlib.error)
_GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"


@frozen
class Written:
    """What a finished layer is known by."""

    digest: str
    diff_id: str
    size_bytes: int


class LayerWriter:
    """Writes members in the order of the calls; parents of a path are added once, before it.

    The caller sorts, and closes the sink. Nothing is held but one gzip member at a time.
    """

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self._digest = hashlib.sha256()
        self._diff_id = hashlib.sha256()
        self._size_bytes = 0
        self._pending = bytearray()
        self._owners: dict[str, tuple[int, int, int]] = {}

    def directory(self, path: str, *, mode: int = 0o755, uid: int = 0, gid: int = 0) -> None:
        self._begin(tar.Entry(path, tar.DIRECTORY, 0, mode, uid, gid))

    def symlink(self, path: str, target: str, *, uid: int = 0, gid: int = 0) -> None:
        self._begin(tar.Entry(path, tar.SYMBOLIC_LINK, 0, 0o777, uid, gid, target))

    def hard_link(self, path: str, target: str) -> None:
        """`target` is the image path of a file that this layer already holds.

        Its mode and owner are said again: Docker sets them from here.
        """
        if target not in self._owners:
            raise IntegrityError(f"hard link to a file outside its layer: {path} -> {target}")
        self._begin(tar.Entry(path, tar.HARD_LINK, 0, *self._owners[target], target))

    def file(
        self, path: str, data: bytes, *, mode: int = 0o644, uid: int = 0, gid: int = 0
    ) -> None:
        self.stream(path, len(data), [data], mode=mode, uid=uid, gid=gid)

    def stream(
        self,
        path: str,
        size_bytes: int,
        chunks: Iterable[bytes],
        *,
        mode: int = 0o644,
        uid: int = 0,
        gid: int = 0,
    ) -> None:
        """A file whose content comes in pieces; their sum must be `size_bytes`."""
        self._begin(tar.Entry(path, tar.REGULAR, size_bytes, mode, uid, gid))
        count = 0
        for chunk in chunks:
            count += len(chunk)
            self._plain(chunk)
        if count != size_bytes:
            raise IntegrityError(f"{path}: {count} bytes came where {size_bytes} were announced")
        self._plain(tar.padding(size_bytes))

    def spliced(
        self,
        path: str,
        size_bytes: int,
        crc32: int,
        deflated: Iterable[bytes],
        *,
        mode: int = 0o644,
        content: Callable[[bytes], object] | None = None,
    ) -> None:
        """A file that is a raw deflate stream already, kept as it is.

        `content` is called with each inflated piece. Raises IntegrityError where size, CRC-32
        or the end of the stream are not as announced; no more than `size_bytes` is inflated.
        """
        self._begin(tar.Entry(path, tar.REGULAR, size_bytes, mode))
        self._flush()
        self._emit(_GZIP_HEADER)
        inflated = _Inflated(path, size_bytes)
        for compressed in deflated:
            self._emit(compressed)
            for piece in inflated.add(compressed):
                self._diff_id.update(piece)
                if content is not None:
                    content(piece)
        inflated.check(crc32)
        self._emit(struct.pack("<II", crc32, size_bytes & 0xFFFFFFFF))
        self._plain(tar.padding(size_bytes))

    def finish(self) -> Written:
        """End the tar; nothing may be written afterwards."""
        self._plain(tar.END)
        self._flush()
        return Written(
            "sha256:" + self._digest.hexdigest(),
            "sha256:" + self._diff_id.hexdigest(),
            self._size_bytes,
        )

    def _begin(self, entry: tar.Entry) -> None:
        if entry.path in self._owners:
            raise IntegrityError(f"{entry.path}: written twice into one layer")
        parent = entry.path.rpartition("/")[0]
        if parent and parent not in self._owners:
            self.directory(parent)
        self._owners[entry.path] = (entry.mode, entry.uid, entry.gid)
        self._plain(tar.header(entry))

    def _plain(self, data: bytes) -> None:
        self._diff_id.update(data)
        view = memoryview(data)
        while view:
            room = _MEMBER_BYTES - len(self._pending)
            self._pending += view[:room]
            view = view[room:]
            if len(self._pending) == _MEMBER_BYTES:
                self._flush()

    def _flush(self) -> None:
        if self._pending:
            self._emit(deflate.gzip_compress(bytes(self._pending), _LEVEL))
            self._pending = bytearray()

    def _emit(self, data: bytes | bytearray) -> None:
        interrupts.check()
        self._digest.update(data)
        self._size_bytes += len(data)
        self._sink.write(data)


class _Inflated:
    """A raw deflate stream that is held to the size that was announced for it."""

    def __init__(self, path: str, size_bytes: int) -> None:
        self._path = path
        self._size_bytes = size_bytes
        self._inflater = isal_zlib.decompressobj(-15)
        self._count = 0
        self._crc32 = 0

    def add(self, compressed: bytes) -> Iterator[bytes]:
        while compressed:
            if self._inflater.eof:
                raise IntegrityError(f"{self._path}: bytes after the end of the deflate stream")
            # One byte beyond what is due shows a stream that is longer than it says.
            due = min(_MEMBER_BYTES, self._size_bytes - self._count + 1)
            try:
                piece = self._inflater.decompress(compressed, due)
            except INFLATE_ERROR as error:
                raise IntegrityError(f"{self._path}: not a deflate stream: {error}") from error
            compressed = self._inflater.unconsumed_tail
            self._count += len(piece)
            if self._count > self._size_bytes:
                raise IntegrityError(f"{self._path}: more than {self._size_bytes} bytes")
            self._crc32 = isal_zlib.crc32(piece, self._crc32)
            yield piece

    def check(self, crc32: int) -> None:
        ended = self._inflater.eof and not self._inflater.unused_data
        if not ended or (self._count, self._crc32) != (self._size_bytes, crc32):
            raise IntegrityError(f"{self._path}: not the bytes that the archive announces")
