# SPDX-License-Identifier: Apache-2.0
"""A wheel as a zip file that nobody vouches for: listed, checked, and read in pieces.

Only what the wheel format allows is let through (PyPA, "Binary distribution format"): stored or
deflated regular files with plain relative names, and exactly one `.dist-info` folder.
"""

from __future__ import annotations

import os
import stat
import struct
import zipfile
from collections.abc import Iterator
from email.parser import BytesHeaderParser
from pathlib import Path
from types import TracebackType
from typing import final

from isal import isal_zlib
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from imagekit.errors import IntegrityError
from imagekit.layers.wheel_doubts import refuse_bomb, refuse_name, refuse_twins
from imagekit.layers.writer import INFLATE_ERROR
from imagekit.values import frozen

_CHUNK_BYTES = 1 << 18
_METADATA_BYTES = 64 << 20
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_ENCRYPTED = 0x1
_SIZES_FOLLOW = 0x8
_IN_EXTRA = 0xFFFFFFFF


@frozen
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
            refuse_twins((member.name for member in self.members), self.filename)
            refuse_bomb(self.members, os.fstat(self._stream.fileno()).st_size, self.filename)
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
        magic, _, flags, method, *_, stored, size, name_length, extra_length = _LOCAL_HEADER.unpack(
            head
        )
        name = self._stream.read(name_length)
        same = magic == b"PK\3\4" and _same_name(name, member.name)
        same = same and method == (zipfile.ZIP_DEFLATED if member.deflated else zipfile.ZIP_STORED)
        if not flags & _SIZES_FOLLOW and stored != _IN_EXTRA:
            same = same and (stored, size) == (member.stored_bytes, member.size_bytes)
        if not same:
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
        refuse_name(name, entry.orig_filename, self.filename)
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
        name, _, version = found[0].removesuffix(".dist-info").rpartition("-")
        if not self._is_own(name, version):
            raise IntegrityError(f"{self.filename}: {found[0]} belongs to another distribution")
        return found[0]

    def _is_own(self, name: str, version: str) -> bool:
        try:
            return canonicalize_name(name) == self.name and str(Version(version)) == self.version
        except InvalidVersion:
            return False

    def refuse_other_metadata(self) -> None:
        """Raise IntegrityError where METADATA names another distribution than the file does."""
        head = BytesHeaderParser().parsebytes(self.metadata("METADATA") or b"")
        name, version = str(head.get("Name", "")).strip(), str(head.get("Version", "")).strip()
        if not self._is_own(name, version):
            said = f"{name[:80]} {version[:80]}".strip() or "nothing"
            raise IntegrityError(f"{self.filename}: its METADATA says that it is {said!r}")


def _is_folder(entry: zipfile.ZipInfo) -> bool:
    return entry.filename.endswith("/") and entry.file_size == 0


def _same_name(raw: bytes, name: str) -> bool:
    return name in (raw.decode("utf-8", "replace"), raw.decode("cp437"))
