# SPDX-License-Identifier: Apache-2.0
"""Images in one tar file: `oci-archive` (a layout in a tar) and `docker-archive` (`docker load`).

The same image gives the same bytes. Layers are streamed, never held whole, and never unpacked:
an archive is read where it lies, by the place of each blob in it.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from imagekit.errors import BuildError, IntegrityError
from imagekit.files import replacing
from imagekit.oci.blobs import BlobSource
from imagekit.oci.descriptor import Platform
from imagekit.oci.digest import hexadecimal
from imagekit.oci.document import LIMIT_BYTES, Document, encode
from imagekit.oci.image import Image
from imagekit.oci.index import Named, documents_of, images_of
from imagekit.oci.layer import Layer
from imagekit.oci.layout import (
    EMPTY_INDEX,
    INDEX_FILE,
    LAYOUT_BYTES,
    LAYOUT_FILE,
    check_layout_file,
    copy_layer,
    named,
)
from imagekit.oci.selection import select_image
from imagekit.oci.tarstream import BoundedReads, end, forget, header, padding
from imagekit.values import frozen

_MEMBER_LIMIT = 100_000


def write_oci_archive(image: Named, path: Path, reference: str | None = None) -> None:
    """Write the archive at `path`, whole or not at all; a file that is there is replaced."""
    index = {**EMPTY_INDEX, "manifests": [named(image, reference).to_json()]}
    layers = [layer for each in images_of(image) for layer in each.layers]
    with replacing(path) as stream:
        _add(stream, LAYOUT_FILE, LAYOUT_BYTES)
        _add(stream, INDEX_FILE, encode(index))
        for digest, data in documents_of(image).items():
            _add(stream, _blob_path(digest), data)
        _add_layers(stream, layers, {layer.digest: _blob_path(layer.digest) for layer in layers})
        stream.write(end())


def write_docker_archive(image: Image, path: Path, tags: Sequence[str] = ()) -> None:
    """Write what `docker load` and `podman load` read at `path`, whole or not at all."""
    with replacing(path) as stream:
        stream_docker_archive(image, stream, tags)


def stream_docker_archive(image: Image, stream: BinaryIO, tags: Sequence[str] = ()) -> None:
    """The same into any stream, such as the input of `docker load`.

    Layers stay compressed: every engine that reads this format looks at their first bytes.
    """
    # Docker takes the name before the dot for the image ID.
    config_name = f"{hexadecimal(image.config_digest)}.json"
    names = {layer.digest: f"{hexadecimal(layer.digest)}.tar" for layer in image.layers}
    listing = [
        {
            "Config": config_name,
            "RepoTags": list(tags),
            "Layers": [names[layer.digest] for layer in image.layers],
        }
    ]
    _add(stream, "manifest.json", json.dumps(listing, separators=(",", ":")).encode())
    _add(stream, config_name, image.config_bytes)
    _add_layers(stream, image.layers, names)
    stream.write(end())


def read_oci_archive(
    path: Path, reference: str | None = None, platform: Platform | None = None
) -> Image:
    """The image that `reference` names in the archive, or the only one."""
    return select_image(*open_oci_archive(path), reference, platform)


def open_oci_archive(path: Path) -> tuple[BlobSource, Document]:
    """The archive's blobs and outermost index.

    Blobs are read from `path` when they are wanted; it must stay as it is.
    """
    blobs = index_members(path)
    if LAYOUT_FILE not in blobs.members or INDEX_FILE not in blobs.members:
        raise BuildError(f"{path}: not an OCI archive")
    check_layout_file(blobs.small(LAYOUT_FILE), str(path))
    return blobs, Document.parse(blobs.small(INDEX_FILE), str(path))


@frozen
class ArchiveFiles:
    """Where each regular file of the archive lies: offset and length; and its links' targets."""

    path: Path
    members: Mapping[str, tuple[int, int]]
    links: Mapping[str, str]

    def size_bytes(self, digest: str) -> int | None:
        found = self.members.get(_blob_path(digest))
        return None if found is None else found[1]

    def open(self, digest: str) -> BinaryIO:
        offset, size_bytes = self.members[_blob_path(digest)]
        stream = self.path.open("rb")
        stream.seek(offset)
        return cast("BinaryIO", io.BufferedReader(Section(stream, size_bytes), 1 << 18))

    def small(self, name: str) -> bytes:
        offset, size_bytes = self.members[name]
        with self.path.open("rb") as stream:
            stream.seek(offset)
            return stream.read(min(size_bytes, LIMIT_BYTES + 1))


class Section(io.RawIOBase):
    """The next `size_bytes` of `stream`, which is closed with it."""

    def __init__(self, stream: BinaryIO, size_bytes: int) -> None:
        super().__init__()
        self._stream = stream
        self._left = size_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(min(len(buffer), self._left))
        self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


def index_members(path: Path) -> ArchiveFiles:
    """Where everything lies in a tar file, which is not compressed.

    Raises:
        BuildError: it is not a tar file.
        IntegrityError: it is cut off, or absurdly full.
    """
    members: dict[str, tuple[int, int]] = {}
    links: dict[str, str] = {}
    try:
        with path.open("rb") as stream, _opened(stream) as archive:
            size_bytes = os.fstat(stream.fileno()).st_size
            while member := archive.next():
                forget(archive)
                if member.offset_data + member.size > size_bytes:
                    raise IntegrityError(f"{path}: cut off")
                if member.type in (tarfile.REGTYPE, tarfile.AREGTYPE):
                    members[member.name.removeprefix("./")] = (member.offset_data, member.size)
                elif member.issym():
                    links[member.name.removeprefix("./")] = member.linkname
                if len(members) + len(links) > _MEMBER_LIMIT:
                    raise IntegrityError(f"{path}: more than {_MEMBER_LIMIT} files")
    except tarfile.TarError as error:
        raise BuildError(f"{path}: not a tar file: {error}", hint=_compressed_hint(path)) from error
    return ArchiveFiles(path, members, links)


def _opened(stream: BinaryIO) -> tarfile.TarFile:
    return tarfile.TarFile(fileobj=cast("BinaryIO", BoundedReads(stream)))


def _compressed_hint(path: Path) -> str | None:
    with path.open("rb") as stream:
        magic = stream.read(4)
    if magic[:2] == b"\x1f\x8b" or magic == b"\x28\xb5\x2f\xfd":
        return "it is compressed: decompress it first"
    return None


def _blob_path(digest: str) -> str:
    return f"blobs/sha256/{hexadecimal(digest)}"


def _add(stream: BinaryIO, name: str, data: bytes) -> None:
    stream.write(header(name, len(data)) + data + padding(len(data)))


def _add_layers(stream: BinaryIO, layers: Sequence[Layer], names: Mapping[str, str]) -> None:
    """Each layer once, however often the image has it."""
    written = set()
    for layer in layers:
        if layer.digest not in written:
            written.add(layer.digest)
            stream.write(header(names[layer.digest], layer.size_bytes))
            copy_layer(layer, stream)
            stream.write(padding(layer.size_bytes))
