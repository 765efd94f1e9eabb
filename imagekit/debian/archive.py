# SPDX-License-Identifier: Apache-2.0
"""Reads .deb files (deb(5)) as if their maker were an enemy, without dpkg.

Nothing here touches the disk: what a package holds is handed on as checked entries.
"""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, BinaryIO

from imagekit.errors import BuildError, IntegrityError
from imagekit.oci.compression import open_zstd
from imagekit.values import frozen

_MAGIC = b"!<arch>\n"
_HEADER_BYTES = 60
_BAD = (tarfile.TarError, lzma.LZMAError, gzip.BadGzipFile, EOFError, ValueError)
LIMIT_BYTES = 4 << 30
"""More than this in one package is an attack on the disk."""


@frozen
class Entry:
    """One member of a package's file system; `path` is relative and clean.

    `kind` is `file`, `directory`, `link` or `hard link`; a hard link's target is a clean path.
    """

    path: str
    kind: str
    mode: int
    uid: int
    gid: int
    target: str = ""
    size_bytes: int = 0


def control_files(path: Path) -> dict[str, bytes]:
    """The files of the control member by name: `control`, `md5sums`, `conffiles` and others."""
    files = {}
    with _Members(path, "control.tar") as members:
        for entry, stream in members:
            if stream is not None:
                files[entry.path] = stream.read()
    if "control" not in files:
        raise IntegrityError(f"{path.name}: no control file in the package")
    return files


class _Members:
    """The checked entries of one tar in a .deb, as an iterator and a context manager."""

    def __init__(self, path: Path, prefix: str) -> None:
        self._path = path
        self._stack = ExitStack()
        try:
            self._tar = self._open(prefix)
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Iterator[tuple[Entry, IO[bytes] | None]]:
        return self._entries()

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _open(self, prefix: str) -> tarfile.TarFile:
        stream = self._stack.enter_context(self._path.open("rb"))
        name, section = _section(stream, prefix, self._path.name)
        try:
            self._plain = self._stack.enter_context(_decompressed(section, name, self._path.name))
            return self._stack.enter_context(
                tarfile.open(
                    fileobj=self._plain, mode="r|", encoding="utf-8", errors="surrogateescape"
                )
            )
        except _BAD as error:
            raise IntegrityError(f"{self._path.name}: {name} does not read: {error}") from error

    def _entries(self) -> Iterator[tuple[Entry, IO[bytes] | None]]:
        total = 0
        try:
            for member in self._tar:
                total += member.size
                if total > LIMIT_BYTES:
                    raise IntegrityError(f"{self._path.name}: more than {LIMIT_BYTES} bytes in it")
                entry = _entry(member, self._path.name)
                if entry is not None:
                    yield entry, self._tar.extractfile(member) if member.isreg() else None
            while self._plain.read(1 << 20):  # the end of the stream holds its check sums
                pass
        except _BAD as error:
            raise IntegrityError(f"{self._path.name}: does not read: {error}") from error


def data_entries(path: Path) -> _Members:
    """A context manager that gives (entry, content of a regular file or None) in order.

    A content stream is to be read before the next entry is asked for.
    """
    return _Members(path, "data.tar")


class _Section(io.RawIOBase):
    """A part of a file as a stream of its own."""

    def __init__(self, stream: BinaryIO, size_bytes: int) -> None:
        self._stream = stream
        self._left = size_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)


def _section(stream: BinaryIO, prefix: str, name: str) -> tuple[str, _Section]:
    """The ar member whose name starts with `prefix`, with `stream` placed at its start."""
    if stream.read(len(_MAGIC)) != _MAGIC:
        raise IntegrityError(f"{name}: not a Debian package")
    first = True
    while header := stream.read(_HEADER_BYTES):
        member, size_bytes = _ar_header(header, name)
        if first and member != "debian-binary":
            raise IntegrityError(f"{name}: not a Debian package: it starts with {member!r}")
        if first and not stream.read(size_bytes).startswith(b"2."):
            raise IntegrityError(f"{name}: not a Debian package of format 2")
        if member.startswith(prefix):
            return member, _Section(stream, size_bytes)
        if not first:
            stream.seek(size_bytes, io.SEEK_CUR)
        stream.seek(size_bytes % 2, io.SEEK_CUR)
        first = False
    raise IntegrityError(f"{name}: no {prefix} in the package")


def _ar_header(header: bytes, name: str) -> tuple[str, int]:
    size = header[48:58].strip()
    if len(header) != _HEADER_BYTES or header[58:] != b"`\n" or not size.isdigit():
        raise IntegrityError(f"{name}: not an ar archive throughout")
    return header[:16].decode("latin-1").strip().rstrip("/"), int(size)


def _decompressed(section: _Section, member: str, name: str) -> io.BufferedIOBase:
    buffered = io.BufferedReader(section, 1 << 18)
    match member.partition(".tar")[2]:
        case ".xz":
            return lzma.open(buffered)
        case ".gz":
            return gzip.open(buffered)
        case "":
            return buffered
        case ".zst":  # Ubuntu's
            return io.BufferedReader(open_zstd(buffered))
        case suffix:
            raise BuildError(
                f"{name}: compressed as {suffix}, which nothing here reads",
                hint="neither Debian's packages nor Ubuntu's are; is the mirror another's?",
            )


def _entry(member: tarfile.TarInfo, name: str) -> Entry | None:
    """None for the root directory."""
    path = clean(member.name, name)
    if not path:
        return None
    if member.isreg():
        kind, target = "file", ""
    elif member.isdir():
        kind, target = "directory", ""
    elif member.issym():
        kind, target = "link", member.linkname
    elif member.islnk():
        kind, target = "hard link", clean(member.linkname, name)
    else:
        raise IntegrityError(f"{name}: {path} is a device or worse")
    if kind == "link" and (not target or "\0" in target):
        raise IntegrityError(f"{name}: {path} links to nowhere")
    size_bytes = member.size if kind == "file" else 0
    return Entry(path, kind, member.mode & 0o7777, member.uid, member.gid, target, size_bytes)


def clean(path: str, name: str) -> str:
    """`path` without a leading `./`; empty for the root.

    Raises:
        IntegrityError: it is absolute, or leads out, or is spelled in a second way.
    """
    trimmed = path.removeprefix("./").rstrip("/")
    if trimmed in ("", "."):
        return ""
    parts = trimmed.split("/")
    if "\0" in trimmed or any(part in ("", ".", "..") for part in parts):
        raise IntegrityError(f"{name}: holds the path {path[:200]!r}")
    return trimmed
