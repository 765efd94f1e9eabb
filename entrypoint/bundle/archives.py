# SPDX-License-Identifier: Apache-2.0
"""Reading tar and zip archives that nobody vouches for.

Of what an archive can hold, code needs files, directories and links that stay inside; the rest is
refused, and so is more than a code bundle can reasonably be. Owners, times and modes are not taken
over, but for the executable bit.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING

from ..errors import BundleError

if TYPE_CHECKING:
    from .install import Staging

# A bomb is told by its ratio: source code and notebooks shrink to a fifth, seldom to a twentieth.
RATIO_LIMIT = 200
FREE_BYTES = 64 << 20
MEMBER_LIMIT = 200_000
HEADER_LIMIT = 1 << 20
LINK_LIMIT = 4096
# Positions and names that no file has; a full disk is not the archive's fault.
_ARCHIVES_FAULT = (errno.EINVAL, errno.ENAMETOOLONG, errno.EILSEQ)
_NAMING = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    struct.error,
    EOFError,
    LookupError,
    NotImplementedError,
    OverflowError,
    ValueError,
)


def unpack(path: str, name: str, staging: Staging) -> None:
    """Put the members of an archive into the staging directory; the format is told by the name."""
    budget = Budget(FREE_BYTES + RATIO_LIMIT * os.path.getsize(path))
    try:
        if name.endswith(".zip"):
            _unpack_zip(path, staging, budget)
        else:
            with _decompressed(path, name) as stream:
                _unpack_tar(stream, staging, budget)
    except BundleError as error:
        raise BundleError(f"unpacking {name}: {error}") from error
    except _BROKEN as error:
        raise BundleError(f"unpacking {name}: {str(error) or type(error).__name__}") from error
    except OSError as error:
        if error.errno not in _ARCHIVES_FAULT:
            raise
        raise BundleError(f"unpacking {name}: {error}") from error


class Budget:
    """What is left of the bytes and the members that an archive may unpack to."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.members = MEMBER_LIMIT

    def spend(self, size_bytes: int) -> None:
        self.size_bytes -= size_bytes
        if self.size_bytes < 0:
            raise BundleError(f"it unpacks to more than {RATIO_LIMIT} times its size")

    def count(self) -> None:
        self.members -= 1
        if self.members < 0:
            raise BundleError(f"it has more than {MEMBER_LIMIT} members")


class Header(tarfile.TarInfo):
    """Refuses what tarfile would read into memory whole: names and attributes of many megabytes."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Header:
        header = super().frombuf(buf, encoding, errors)
        is_content = header.type in tarfile.SUPPORTED_TYPES and header.type not in _NAMING
        if header.size < 0 or (not is_content and header.size > HEADER_LIMIT):
            raise BundleError("a header claims to be larger than any header is")
        return header


class Spending(io.RawIOBase):
    """A stream whose every byte comes out of the budget."""

    def __init__(self, stream: io.BufferedIOBase, budget: Budget) -> None:
        self.stream = stream
        self.budget = budget

    def read(self, size: int = -1, /) -> bytes:
        try:
            data = self.stream.read(size)
        except _BROKEN:
            raise
        except Exception as error:  # gzip's are OSErrors, zstd's a class of their own
            raise BundleError(str(error)) from error
        self.budget.spend(len(data))
        return data


def _decompressed(path: str, name: str) -> io.BufferedIOBase:
    if name.endswith((".tar.gz", ".tgz")):
        import gzip

        return gzip.open(path, "rb")
    if name.endswith(".tar.zst"):
        return _zstandard(path)
    raise BundleError("a code bundle is a .tar.gz, .tar.zst, .zip or pkl.gz")


def _zstandard(path: str) -> io.BufferedIOBase:
    """By Python itself from 3.14 on, else by its backport, if the image has that."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            zstd = __import__(name, fromlist=["open"])
        except ImportError:
            continue
        stream: io.BufferedIOBase = zstd.open(path, "rb")
        return stream
    raise BundleError(
        "this Python has no zstd: 3.14 is the first that has; add backports.zstd to the image, or "
        "use .tar.gz"
    )


def _unpack_tar(stream: io.BufferedIOBase, staging: Staging, budget: Budget) -> None:
    source = Spending(stream, budget)
    with tarfile.open(fileobj=source, mode="r|", tarinfo=Header) as archive:
        for member in archive:
            budget.count()
            _add_tar_member(archive, member, staging)
    # The checksum of the whole stands at its end.
    while source.read(HEADER_LIMIT):
        pass


def _add_tar_member(archive: tarfile.TarFile, member: tarfile.TarInfo, staging: Staging) -> None:
    if member.isdir():
        staging.add_directory(member.name)
    elif member.issym():
        staging.add_link(member.name, member.linkname)
    elif member.islnk():
        staging.add_copy(member.name, member.linkname)
    elif member.isreg() and not member.issparse():
        content = archive.extractfile(member)
        if content is None:
            raise BundleError(f"{member.name!r:.200} has no content")
        staging.add_file(member.name, content, member.size, member.mode)
    else:
        raise BundleError(f"{member.name!r:.200} is a device, a FIFO or a sparse file")


def _unpack_zip(path: str, staging: Staging, budget: Budget) -> None:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            budget.count()
            budget.spend(max(member.file_size, 0))
            _add_zip_member(archive, member, staging)


def _add_zip_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, staging: Staging) -> None:
    mode = member.external_attr >> 16
    kind = stat.S_IFMT(mode)
    if member.flag_bits & 1:
        raise BundleError(f"{member.filename!r:.200} is encrypted")
    if member.is_dir():
        staging.add_directory(member.filename)
    elif kind == stat.S_IFLNK:
        if member.file_size > LINK_LIMIT:
            raise BundleError(f"{member.filename!r:.200} is a link of {member.file_size} bytes")
        staging.add_link(member.filename, archive.read(member).decode())
    elif kind in (0, stat.S_IFREG):
        with archive.open(member) as content:
            staging.add_file(member.filename, content, member.file_size, mode)
    else:
        raise BundleError(f"{member.filename!r:.200} is a device or a FIFO")
