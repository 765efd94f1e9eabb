# SPDX-License-Identifier: Apache-2.0
"""Tar files, both ways: plain headers for archives of images, and hostile ones read with care."""

from __future__ import annotations

import functools
import io
import tarfile
from collections.abc import Iterator
from typing import IO, Any, BinaryIO, cast

from imagekit.errors import IntegrityError

_BLOCK = 512
_MTIME = 315_619_200  # 1980-01-02, as everywhere
_OCTAL_LIMIT = 8**11
_READ_LIMIT_BYTES = 4 << 20
_PIECE_BYTES = 1 << 20
_BROKEN = (tarfile.TarError, EOFError, ValueError, OverflowError)


def header(name: str, size_bytes: int) -> bytes:
    """The header of a regular file whose name is at most 100 ASCII characters."""
    # Beyond eleven octal digits: base 256, as GNU tar writes it and every reader knows it.
    size = (
        b"%011o\0" % size_bytes
        if size_bytes < _OCTAL_LIMIT
        else b"\x80" + size_bytes.to_bytes(11, "big")
    )
    before = name.encode("ascii").ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2
    before += size + b"%011o\0" % _MTIME
    after = b"0" + b"\0" * 100 + b"ustar\00000" + b"\0" * 64 + b"0000000\0" * 2 + b"\0" * 167
    checksum = sum(before) + sum(after) + 8 * ord(" ")
    return before + b"%06o\0 " % checksum + after


def padding(size_bytes: int) -> bytes:
    return b"\0" * (-size_bytes % _BLOCK)


def end() -> bytes:
    return b"\0" * (2 * _BLOCK)


class BoundedReads(io.RawIOBase):
    """A file for `tarfile` that refuses one huge read: extended headers say their own size."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream
        self.last = b""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0 or size > _READ_LIMIT_BYTES:
            raise IntegrityError("a tar header announces an absurd size")
        self.last = self._stream.read(size)
        return self.last

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if offset < 0:
            raise IntegrityError("a tar header announces a negative size")
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


class _Forward(BoundedReads):
    """A stream that `tarfile` believes to be a file: it can only go forward, by reading."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        self._position = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or offset < self._position:
            raise IntegrityError("a tar header announces a negative size")
        while self._position < offset and self.read(min(1 << 20, offset - self._position)):
            pass
        return self._position

    def tell(self) -> int:
        return self._position


class _Content(io.RawIOBase):
    """A member's bytes; what tarfile raises while they are read is ours too."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__()
        self._stream = stream

    def read(self, size: int | None = -1) -> bytes:
        try:
            if size is None or size < 0:
                # In pieces: one read of all would be as large as what `BoundedReads` refuses.
                return b"".join(iter(functools.partial(self._stream.read, _PIECE_BYTES), b""))
            return self._stream.read(size)
        except _BROKEN as error:
            raise IntegrityError(f"not a tar file: {error}") from error


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> BinaryIO | None:
    stream = archive.extractfile(member) if member.isreg() else None
    return None if stream is None else cast("BinaryIO", _Content(stream))


def forget(archive: Any) -> None:
    """Drop the members that were passed: a tar of a million files must not fill the memory."""
    archive.members.clear()


def members(stream: BinaryIO) -> Iterator[tuple[tarfile.TarInfo, BinaryIO | None]]:
    """Each member of an uncompressed tar, with its content if it is a regular file.

    Content is read, or not, before the next member is asked for. After the last one the stream
    stands somewhere after the end marker. Raises IntegrityError where it is no whole tar.
    """
    file = _Forward(stream)
    try:
        archive = tarfile.TarFile(
            fileobj=cast("BinaryIO", file), encoding="utf-8", errors="surrogateescape"
        )
        while member := archive.next():
            forget(archive)
            yield member, _content(archive, member)
    except _BROKEN as error:
        raise IntegrityError(f"not a tar file: {error}") from error
    # tarfile takes a broken header for the end; the real end is a block of zeros, or no block.
    if file.last.strip(b"\0"):
        raise IntegrityError("not a tar file: a broken header")
