# SPDX-License-Identifier: Apache-2.0
"""Tar headers whose bytes depend on nothing but their arguments (POSIX.1-2001: ustar and pax).

The standard library's writer is not used: its bytes may change between Python versions, and a
layer's digest must not.
"""

from __future__ import annotations

from dataclasses import replace

from imagekit.errors import IntegrityError
from imagekit.values import frozen

BLOCK = 512
END = b"\0" * (2 * BLOCK)
REGULAR, HARD_LINK, SYMBOLIC_LINK, DIRECTORY, PAX = b"0", b"1", b"2", b"5", b"x"

MTIME = 315_619_200
"""Every file's time: 1980-01-02 UTC, the first day that a zip file can hold in every time zone,
so that code which zips what it finds in an image works."""

_SIZE_LIMIT = 8**11  # what eleven octal digits hold


@frozen
class Entry:
    """One tar member's metadata; `path` is relative, with `/`, without a trailing one."""

    path: str
    kind: bytes = REGULAR
    size_bytes: int = 0
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    target: str = ""


def padding(size_bytes: int) -> bytes:
    return b"\0" * (-size_bytes % BLOCK)


def header(entry: Entry) -> bytes:
    """The header blocks of one member: a pax extended header first where ustar is too small."""
    _refuse_escape(entry)
    name = entry.path + "/" if entry.kind == DIRECTORY else entry.path
    records: list[tuple[str, str]] = []
    if not _fits(name):
        records.append(("path", name))
    if not _fits(entry.target):
        records.append(("linkpath", entry.target))
    size_bytes = entry.size_bytes
    if size_bytes >= _SIZE_LIMIT:
        records.append(("size", str(size_bytes)))
        size_bytes = 0
    blocks = b""
    if records:
        body = b"".join(_record(key, value) for key, value in sorted(records))
        extended = Entry("././@PaxHeader", PAX, len(body))
        blocks = _ustar(extended, extended.path, len(body)) + body + padding(len(body))
    short = replace(entry, target=_cut(entry.target)) if entry.target else entry
    return blocks + _ustar(short, _cut(name), size_bytes)


def _refuse_escape(entry: Entry) -> None:
    parts = entry.path.split("/")
    if not entry.path or "\0" in entry.path or ".." in parts or "" in parts or "." in parts:
        raise IntegrityError(f"not a path inside an image: {entry.path!r}")
    if "\0" in entry.target:
        raise IntegrityError(f"a link's target holds a NUL byte: {entry.path!r}")


def _fits(text: str) -> bool:
    return text.isascii() and len(text) <= 100


def _cut(text: str) -> str:
    return text.encode("ascii", "replace")[:100].decode()


def _record(key: str, value: str) -> bytes:
    # The length counts its own digits (pax, "Extended Header").
    body = f" {key}={value}\n".encode("utf-8", "surrogateescape")
    length = len(body)
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return str(length).encode() + body


def _ustar(entry: Entry, name: str, size_bytes: int) -> bytes:
    fields = (
        name.encode().ljust(100, b"\0")
        + b"%07o\0%07o\0%07o\0" % (entry.mode, entry.uid, entry.gid)
        + b"%011o\0%011o\0" % (size_bytes, MTIME)
    )
    rest = (
        entry.kind
        + entry.target.encode().ljust(100, b"\0")
        + b"ustar\00000"
        + b"\0" * 64
        + b"0000000\0" * 2
        + b"\0" * (155 + 12)
    )
    checksum = sum(fields) + sum(rest) + 8 * ord(" ")
    return fields + b"%06o\0 " % checksum + rest
