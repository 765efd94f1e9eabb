# SPDX-License-Identifier: Apache-2.0
"""The files of a build as the worker is to see them: they need not lie in one folder here.

Owner and time of files here don't matter: everything is root's, and its time follows from what it
holds, so the worker, which compares mode, size and time with what it has, fetches again exactly
what has changed.
"""

from __future__ import annotations

import hashlib
import io
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from imagekit.errors import BuildError
from imagekit.values import frozen

_CREATED_SECONDS = 315619200  # 1980-01-02, the time of every file that imagekit makes
_NANOSECONDS = 10**9
_CHUNK_BYTES = 1 << 19


@frozen
class Entry:
    """A folder, file or link at `path`, which is relative and has no trailing slash.

    Attributes:
        mode: permissions, without the kind.
        source: where a file's bytes lie, unless they are `data`.
        size_bytes: of a file.
        sha256: of a file's bytes, in hexadecimal.
        target: of a symbolic link; None for everything else.
    """

    path: str
    mode: int = 0o644
    source: Path | None = None
    data: bytes | None = None
    size_bytes: int = 0
    sha256: str = ""
    target: str | None = None

    @classmethod
    def folder(cls, path: str, mode: int = 0o755) -> Entry:
        return cls(path, mode)

    @classmethod
    def link(cls, path: str, target: str) -> Entry:
        return cls(path, 0o777, target=target)

    @classmethod
    def made(cls, path: str, data: bytes, mode: int = 0o644) -> Entry:
        """A file whose bytes are not on disk."""
        digest = hashlib.sha256(data).hexdigest()
        return cls(path, mode, data=data, size_bytes=len(data), sha256=digest)

    @property
    def is_file(self) -> bool:
        return self.source is not None or self.data is not None

    @property
    def is_folder(self) -> bool:
        return not self.is_file and self.target is None

    @property
    def kind(self) -> int:
        """As stat(2) has it."""
        if self.is_file:
            return stat.S_IFREG
        return stat.S_IFDIR if self.target is None else stat.S_IFLNK

    @property
    def time_nanoseconds(self) -> int:
        """Fixed but for its nanoseconds, which stand for what the file holds."""
        mark = int(self.sha256[:15] or "0", 16) % _NANOSECONDS
        return _CREATED_SECONDS * _NANOSECONDS + mark

    def chunks(self) -> Iterator[bytes]:
        """The file's bytes. Raises BuildError if they are no longer those that were promised."""
        digest = hashlib.sha256()
        with self._open() as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
                yield chunk
        if digest.hexdigest() != self.sha256:
            raise BuildError(f"{self.source} changed during the build", hint="build again")

    def _open(self) -> BinaryIO:
        if self.data is not None:
            return io.BytesIO(self.data)
        if self.source is None:
            raise BuildError(f"{self.path} is no file")
        try:
            return self.source.open("rb")
        except OSError as error:
            raise BuildError(f"reading {self.source}: {error.strerror}") from error


def arranged(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """The entries in the order of the wire, with the folders that they stand in.

    Raises BuildError where two of them claim one path.
    """
    found: dict[str, Entry] = {}
    for entry in entries:
        known = found.setdefault(entry.path, entry)
        if known != entry:
            raise BuildError(f"two files of the build claim the path {entry.path}")
    for path in list(found):
        while path := path.rpartition("/")[0]:
            found.setdefault(path, Entry.folder(path))
    return tuple(sorted(found.values(), key=lambda entry: entry.path.split("/")))
