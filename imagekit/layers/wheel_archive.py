# SPDX-License-Identifier: Apache-2.0
"""A wheel as a zip file that nobody vouches for: listed, checked, and read in pieces.

Only what the wheel format allows is let through (PyPA, "Binary distribution format"): stored or
deflated regular files with plain relative names, and exactly one `.dist-info` folder.
"""

from __future__ import annotations

import stat
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import final

from isal import isal_zlib
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from imagekit.errors import IntegrityError
from imagekit.layers.writer import INFLATE_ERROR

_CHUNK_BYTES = 1 << 18
_METADATA_BYTES = 64 << 20
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_ENCRYPTED = 0x1


@dataclass(frozen=True, slots=True)
class Member:
    """One regular file of the wheel, as its central directory announces it."""

    name: str
    deflated: bool
    crc32: int
    stored_bytes: int
    size_bytes: int
    executable: bool
    header_offset: int


@final
class WheelArchive:
    """An open wheel; use as a context manager. One thread at a time."""

    def __init__(self, path: Path, filename: str) -> None:
        self.filename = filename
        self._path = path
        try:
            name, version, _, _ = parse_wheel_filename(filename)
        except InvalidWheelFilename as error:
            raise IntegrityError(f"{filename}: not the name of a wheel") from error
        self.name, self.version = name, str(version)

    def __enter__(self) -> WheelArchive:
        self._stream = self._path.open("rb")
        try:
            with zipfile.ZipFile(self._stream) as archive:
                entries = archive.infolist()
            self.members = tuple(self._member(entry) for entry in entries if not _is_folder(entry))
            self._refuse_duplicates()
            self.dist_info = self._dist_info()
        except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error) as error:
            self._stream.close()
            raise IntegrityError(f"{self.filename}: not a readable wheel: {error}") from error
        except BaseException:
            self._stream.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.close()

    def raw(self, member: Member) -> Iterator[bytes]:
        """The member's bytes as they are stored: deflated, or plain where `deflated` is false."""
        self._stream.seek(member.header_offset)
        head = self._stream.read(_LOCAL_HEADER.size)
        if len(head) < _LOCAL_HEADER.size:
            raise IntegrityError(f"{self.filename}: {member.name}: truncated")
        magic, *_, name_length, extra_length = _LOCAL_HEADER.unpack(head)
        name = self._stream.read(name_length)
        if magic != b"PK\3\4" or not _same_name(name, member.name):
            raise IntegrityError(f"{self.filename}: {member.name}: two headers that disagree")
        position = member.header_offset + _LOCAL_HEADER.size + name_length + extra_length
        left = member.stored_bytes
        while left:
            self._stream.seek(position)
            chunk = self._stream.read(min(left, _CHUNK_BYTES))
            if not chunk:
                raise IntegrityError(f"{self.filename}: {member.name}: truncated")
            position += len(chunk)
            left -= len(chunk)
            yield chunk

    def read(self, member: Member, *, limit_bytes: int = _METADATA_BYTES) -> bytes:
        """The member inflated and checked; for what is small enough to be held."""
        if member.size_bytes > limit_bytes:
            raise IntegrityError(
                f"{self.filename}: {member.name}: {member.size_bytes} bytes are too many"
            )
        data = b"".join(self.raw(member))
        if member.deflated:
            inflater = isal_zlib.decompressobj(-15)
            try:
                data = inflater.decompress(data, member.size_bytes + 1)
            except INFLATE_ERROR as error:
                raise IntegrityError(f"{self.filename}: {member.name}: {error}") from error
            if not inflater.eof or inflater.unused_data:
                data = b""
        if len(data) != member.size_bytes or isal_zlib.crc32(data) != member.crc32:
            raise IntegrityError(f"{self.filename}: {member.name}: not what the zip announces")
        return data

    def metadata(self, name: str) -> bytes | None:
        """A file of the `.dist-info` folder, or None where the wheel has none of that name."""
        for member in self.members:
            if member.name == f"{self.dist_info}/{name}":
                return self.read(member)
        return None

    def _member(self, entry: zipfile.ZipInfo) -> Member:
        name = entry.filename
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if "\0" in entry.orig_filename or "\\" in name or not _is_plain(name):
            raise IntegrityError(f"{self.filename}: {name!r} is not a path inside a wheel")
        if kind not in (0, stat.S_IFREG):
            raise IntegrityError(f"{self.filename}: {name}: links and devices have no place here")
        if entry.flag_bits & _ENCRYPTED or entry.compress_type not in (0, 8):
            raise IntegrityError(f"{self.filename}: {name}: encrypted, or compressed strangely")
        deflated = entry.compress_type == zipfile.ZIP_DEFLATED
        if not deflated and entry.compress_size != entry.file_size:
            raise IntegrityError(f"{self.filename}: {name}: stored, yet of two sizes")
        return Member(
            name,
            deflated,
            entry.CRC,
            entry.compress_size,
            entry.file_size,
            bool(entry.external_attr >> 16 & 0o111),
            entry.header_offset,
        )

    def _refuse_duplicates(self) -> None:
        seen: set[str] = set()
        for member in self.members:
            if member.name in seen:
                raise IntegrityError(f"{self.filename}: {member.name} is in it twice")
            seen.add(member.name)

    def _dist_info(self) -> str:
        folders = {member.name.partition("/")[0] for member in self.members}
        found = sorted(folder for folder in folders if folder.endswith(".dist-info"))
        if len(found) != 1:
            raise IntegrityError(f"{self.filename}: {len(found)} .dist-info folders, not one")
        name = found[0].removesuffix(".dist-info").rpartition("-")[0]
        if canonicalize_name(name) != self.name:
            raise IntegrityError(f"{self.filename}: {found[0]} belongs to another distribution")
        return found[0]


def _is_folder(entry: zipfile.ZipInfo) -> bool:
    return entry.filename.endswith("/") and entry.file_size == 0


def _is_plain(name: str) -> bool:
    return all(part not in ("", ".", "..") for part in name.split("/"))


def _same_name(raw: bytes, name: str) -> bool:
    return name in (raw.decode("utf-8", "replace"), raw.decode("cp437"))
