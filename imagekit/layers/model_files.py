# SPDX-License-Identifier: Apache-2.0
"""A folder of model files as an image: one layer for each large file, so that one moves alone.

A layer is an uncompressed tar, since weights do not compress: it is read from the file itself, and
nothing is copied. Its annotations name the file with its size and sha256, so that a lock can be
made of the manifest alone. The small files share a layer.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, cast

from imagekit.errors import BuildError
from imagekit.layers import tar
from imagekit.oci.assemble import Addition, Settings, assemble
from imagekit.oci.descriptor import Platform
from imagekit.oci.image import Image
from imagekit.oci.media_types import TAR_LAYER
from imagekit.values import frozen

FILE_PATH, FILE_SIZE, FILE_SHA256 = (
    f"dev.imagekit.file.{name}" for name in ("path", "size", "sha256")
)
SMALL_BYTES = 4 * 1024**2
_MOST_LAYERS = 120  # container runtimes stop at 127 or 128
_CHUNK_BYTES = 1 << 20


@frozen
class Member:
    """One file: its path in the image, and where it lies here."""

    path: str
    file: Path
    size_bytes: int


@frozen
class FilesLayer:
    """Files in a tar, made while it is read; BuildError where one has become shorter."""

    members: tuple[Member, ...]
    digest: str
    size_bytes: int
    media_type: str = TAR_LAYER

    @property
    def diff_id(self) -> str:
        return self.digest

    def open(self) -> BinaryIO:
        return _opened(self.members)


def pack(
    folder: Path,
    platform: Platform,
    *,
    small_bytes: int = SMALL_BYTES,
    done: Callable[[Member], object] = lambda _: None,
) -> Image:
    """The image of a folder's files, without hidden ones. The same files give the same bytes.

    Raises BuildError where there are none, or too many large ones.
    """
    members = list(_members(folder))
    large = [(each,) for each in members if each.size_bytes >= small_bytes]
    small = tuple(each for each in members if each.size_bytes < small_bytes)
    groups = [*([small] if small else []), *large]
    if not members:
        raise BuildError(f"packing {folder}: it has no files")
    if len(groups) > _MOST_LAYERS:
        raise BuildError(
            f"packing {folder}: {len(large)} large files, and an image has at most {_MOST_LAYERS}"
            " layers",
            hint="write the model in larger shards",
        )
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        hashed = list(pool.map(_hashed, groups))
    additions = []
    for group, (layer, sha256) in zip(groups, hashed, strict=True):
        annotations = {}
        if len(group) == 1:
            annotations = {
                FILE_PATH: group[0].path,
                FILE_SIZE: str(group[0].size_bytes),
                FILE_SHA256: sha256,
            }
        names = ", ".join(each.path for each in group[:3])
        additions.append(Addition(layer, f"imagekit model pack: {names}", annotations))
        for each in group:
            done(each)
    return assemble(None, additions, Settings(), platform=platform)


def _members(folder: Path) -> Iterator[Member]:
    """Sorted by path, whatever the order of the file system; links are followed, as hubs' caches
    are made of them.
    """
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for name in sorted(names):
            file = Path(parent) / name
            if not name.startswith("."):
                path = file.relative_to(folder).as_posix()
                yield Member(path, file, file.stat().st_size)


def _hashed(members: Sequence[Member]) -> tuple[FilesLayer, str]:
    """The layer, and the sha256 of its last file."""
    digest, size, content = hashlib.sha256(), 0, hashlib.sha256()
    for member, segment in _segments(members):
        if isinstance(segment, bytes):
            digest.update(segment)
            size += len(segment)
            continue
        content = hashlib.sha256()
        with segment.open("rb") as stream:
            left = member.size_bytes
            while left and (chunk := stream.read(min(left, _CHUNK_BYTES))):
                digest.update(chunk)
                content.update(chunk)
                left -= len(chunk)
        _refuse_change(member, left)
        size += member.size_bytes
    layer = FilesLayer(tuple(members), f"sha256:{digest.hexdigest()}", size)
    return layer, content.hexdigest()


def _segments(members: Sequence[Member]) -> Iterator[tuple[Member, bytes | Path]]:
    """The tar in pieces: bytes of its own, and files."""
    parents: set[str] = set()
    for member in members:
        yield (
            member,
            b"".join(_parents(member.path, parents))
            + tar.header(tar.Entry(member.path, tar.REGULAR, member.size_bytes)),
        )
        yield member, member.file
        yield member, tar.padding(member.size_bytes)
    yield members[-1], tar.END


def _parents(path: str, known: set[str]) -> Iterator[bytes]:
    parts = path.split("/")[:-1]
    for count in range(1, len(parts) + 1):
        parent = "/".join(parts[:count])
        if parent not in known:
            known.add(parent)
            yield tar.header(tar.Entry(parent, tar.DIRECTORY, 0, 0o755))


def _refuse_change(member: Member, left: int) -> None:
    if left:
        raise BuildError(f"packing {member.file}: it changed while it was read")


def _opened(members: Sequence[Member]) -> BinaryIO:
    return cast("BinaryIO", io.BufferedReader(_Tar(members), _CHUNK_BYTES))


class _Tar(io.RawIOBase):
    """The segments as one stream, which can be entered anywhere."""

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__()
        self._pieces: list[tuple[int, int, Member, bytes | Path]] = []
        end = 0
        for member, segment in _segments(members):
            size = len(segment) if isinstance(segment, bytes) else member.size_bytes
            self._pieces.append((end, end + size, member, segment))
            end += size
        self._size, self._at = end, 0
        self._file: tuple[Path, BinaryIO] | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        for start, end, member, segment in self._pieces:
            if start <= self._at < end:
                size = min(len(buffer), end - self._at)
                data = self._piece(member, segment, self._at - start, size)
                buffer[: len(data)] = data
                self._at += len(data)
                return len(data)
        return 0

    def _piece(self, member: Member, segment: bytes | Path, offset: int, size: int) -> bytes:
        if isinstance(segment, bytes):
            return segment[offset : offset + size]
        if self._file is None or self._file[0] != segment:
            self._let_go()
            self._file = (segment, segment.open("rb"))
        stream = self._file[1]
        stream.seek(offset)
        data = stream.read(size)
        _refuse_change(member, 0 if data else size)
        return data

    def _let_go(self) -> None:
        if self._file is not None:
            self._file[1].close()
            self._file = None

    def close(self) -> None:
        self._let_go()
        super().close()
