# SPDX-License-Identifier: Apache-2.0
"""What one layer of a base says: its members in order, and what is kept of a few files."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import BinaryIO, Literal, NamedTuple, cast

from imagekit.errors import IntegrityError
from imagekit.lock.facts import facts_of
from imagekit.oci.tarstream import members

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_HOUSEKEEPING = ".wh..wh."
_LARGEST_BYTES = 256 << 20
# CUDA's libraries are larger, and no interpreter's.
_LARGEST_LIBRARY_BYTES = 16 << 20
_SMALL_BYTES = 1 << 20
# Of a tar no more is read at once: its headers might ask for anything.
_CHUNK_BYTES = 1 << 20
_PATH_LENGTH = 4096  # PATH_MAX
_LIMIT_MEMBERS = 2_000_000
_LIMIT_TEXT = 256 << 20
# PY_VERSION and glibc's banner stand in the binaries as texts; linkers may merge the first with a
# longer text that ends in it.
_PYTHON_VERSION = re.compile(rb"(?<![\d.])(3\.\d{1,2}\.\d{1,3}(?:(?:a|b|rc)\d+)?)\+?\0")
_GLIBC_VERSION = re.compile(rb"stable release version (2\.\d{1,3})")


Kind = Literal["directory", "file", "link", "hard link", "device", "whiteout", "opaque"]


class Entry(NamedTuple):
    """A member of a layer's tar; where it lands depends on the layers below.

    `name` of a whiteout is what it hides, of an opaque one the folder whose content it hides;
    `target` is a link's as written, a hard link's as a path; `kept` is what `KEPT` makes of a
    file, and None where nothing looked into it.
    """

    name: str
    kind: Kind
    mode: int = 0
    uid: int = 0
    gid: int = 0
    target: str = ""
    kept: str | None = None


def read_outline(tar: BinaryIO) -> Iterator[Entry]:
    """The members of an uncompressed layer, without the root itself.

    Raises:
        IntegrityError: it is no tar file, has or hides paths that can't be, or more than a base
            can have.
    """
    texts = 0
    for count, (member, content) in enumerate(members(tar)):
        entry = _entry(member, content)
        if entry is None:
            continue
        texts += len(entry.name) + len(entry.target) + len(entry.kept or "")
        if count >= _LIMIT_MEMBERS or texts > _LIMIT_TEXT:
            raise IntegrityError("a layer has more files than are read of a base")
        yield entry


def encoded(entries: Iterable[Entry]) -> Iterator[bytes]:
    """A line for each."""
    for entry in entries:
        yield json.dumps(entry).encode() + b"\n"


def decoded(lines: Iterable[bytes]) -> Iterator[Entry]:
    """What `encoded` made lines of; ValueError or TypeError where it did not."""
    for line in lines:
        yield Entry(*json.loads(line))


def _clean_path(name: str) -> str:
    """From the image's root, without `.` and empty parts."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts or len(name) > _PATH_LENGTH:
        raise IntegrityError(f"a layer holds the path {name[:200]!r}")
    return "/".join(parts)


def _entry(member: tarfile.TarInfo, content: BinaryIO | None) -> Entry | None:
    name = _clean_path(member.name)
    last = name.rpartition("/")[2]
    if not name or (last.startswith(_HOUSEKEEPING) and last != _OPAQUE):
        return None
    if last.startswith(_WHITEOUT) and not member.isdir():
        return _whiteout(name.removesuffix(last), last)
    if member.islnk():
        return Entry(name, "hard link", target=_clean_path(member.linkname))
    return Entry(
        name,
        _kind(member),
        member.mode & 0o7777,
        member.uid,
        member.gid,
        member.linkname[:_PATH_LENGTH] if member.issym() else "",
        None if content is None else _kept(name, member.size, content),
    )


def _kind(member: tarfile.TarInfo) -> Kind:
    if member.isdir():
        return "directory"
    if member.issym():
        return "link"
    return "file" if member.isreg() else "device"


def _whiteout(folder: str, name: str) -> Entry:
    hidden = name.removeprefix(_WHITEOUT)
    if name == _OPAQUE:
        return Entry(folder.rstrip("/"), "opaque")
    if hidden in ("", ".", ".."):
        raise IntegrityError(f"a layer hides {hidden!r}")
    return Entry(folder + hidden, "whiteout")


def _kept(name: str, size_bytes: int, content: BinaryIO) -> str | None:
    for pattern, keep in KEPT.items():
        largest = _LARGEST_LIBRARY_BYTES if keep is facts_of else _LARGEST_BYTES
        if pattern.fullmatch(name) and size_bytes <= largest:
            return keep(b"".join(iter(lambda: content.read(_CHUNK_BYTES), b"")))
    return None


def _program(pattern: re.Pattern[bytes]) -> Callable[[bytes], str]:
    """Its versions, and then its facts, as words."""

    def versions(content: bytes) -> str:
        found = cast("list[bytes]", pattern.findall(content))
        return " ".join([*sorted({text.decode() for text in found}), facts_of(content)])

    return versions


def _text(content: bytes) -> str:
    return content[:_SMALL_BYTES].decode(errors="replace")


def _whole(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def _bytes(content: bytes) -> str:
    return content[:_SMALL_BYTES].decode("latin-1")


KEPT: Mapping[re.Pattern[str], Callable[[bytes], str]] = {
    re.compile(r"(?:.*/)?(?:python3(?:\.\d+)?|libpython3\.\d+\.so\.1\.0)"): _program(
        _PYTHON_VERSION
    ),
    re.compile(r"(?:.*/)?libc(?:-2\.\d+\.so|\.so\.6)"): _program(_GLIBC_VERSION),
    re.compile(
        r"(?:.*/)?python3\.\d+/"
        r"(?:(?:(?:collections|encodings|importlib)/)?[^/]+\.py|lib-dynload/[^/]+\.so)"
    ): facts_of,
    re.compile(r"(?:.*/)?(?:lib|ld-)[^/]+\.so(?:\.\d+)*"): facts_of,
    re.compile(r"(?:.*/)?(?:passwd|group|os-release)"): _text,
    re.compile(r"(?:.*/)?(?:dpkg/status|triggers/File)"): _whole,
    re.compile(r"(?:.*/)?sources\.list(?:\.d/[^/]+\.(?:list|sources))?"): _text,
    re.compile(r"(?:.*/)?(?:keyrings|trusted\.gpg\.d)/[^/]+\.(?:gpg|pgp|asc)"): _bytes,
}
"""By the end of a path: folders of lower layers may be links."""

FORMAT = " ".join(["outline 2", *(pattern.pattern for pattern in KEPT)])
"""What is written of outlines depends on this."""
