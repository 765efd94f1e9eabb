# SPDX-License-Identifier: Apache-2.0
"""Reads what `docker save` writes: manifest.json, a config, and each layer as a tar.

Such an archive has no manifest of OCI's, so the image gets one made here: its digest names the
image nowhere else. Layers are read where they lie, compressed or not.
"""

from __future__ import annotations

import hashlib
import io
import json
import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

from imagekit.errors import BuildError, IntegrityError
from imagekit.oci import media_types
from imagekit.oci.archive import ArchiveFiles, Section, index_members
from imagekit.oci.blobs import BlobLayer
from imagekit.oci.descriptor import Descriptor, Platform
from imagekit.oci.document import Document, encode
from imagekit.oci.image import Image, diff_ids
from imagekit.oci.layer import GZIP_LAYER
from imagekit.values import frozen

_LISTING = "manifest.json"
_GZIP = b"\x1f\x8b"


def read_docker_archive(
    path: Path, reference: str | None = None, platform: Platform | None = None
) -> Image:
    """The image that has the name `reference` in the archive, or its only one.

    `path` must stay as it is while the image is used.

    Raises:
        BuildError: there is no such image, or it is for another platform.
        IntegrityError: the archive is not whole.
    """
    files = index_members(path)
    entry = _entry(files, reference)
    config_bytes = files.small(_inside(files, entry.text("Config")))
    config = Document.parse(config_bytes, f"{path}: config")
    names = [_inside(files, name) for name in entry.texts("Layers")]
    pairs = zip(names, diff_ids(config, len(names)), strict=True)
    layers = tuple(_layer(files, name, diff_id) for name, diff_id in pairs)
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_types.MANIFEST,
        "config": Descriptor.of(media_types.CONFIG, config_bytes).to_json(),
        "layers": [
            Descriptor(layer.media_type, layer.digest, layer.size_bytes).to_json()
            for layer in layers
        ],
    }
    image = Image(encode(manifest), config_bytes, layers)
    if platform is not None and not image.platform.fits(platform):
        raise BuildError(f"{path}: its image is for {image.platform}, not {platform}")
    return image


@frozen
class _Member:
    """One file of the archive, as a BlobSource with one blob."""

    path: Path
    offset: int
    length: int

    def size_bytes(self, digest: str) -> int | None:
        del digest
        return self.length

    def open(self, digest: str) -> BinaryIO:
        del digest
        stream = self.path.open("rb")
        stream.seek(self.offset)
        return cast("BinaryIO", io.BufferedReader(Section(stream, self.length), 1 << 18))


def _layer(files: ArchiveFiles, name: str, diff_id: str) -> BlobLayer:
    offset, length = files.members[name]
    member = _Member(files.path, offset, length)
    with member.open("") as stream:
        magic = stream.read(2)
    if magic == _GZIP:
        return BlobLayer(member, _digest(member), diff_id, length, GZIP_LAYER)
    return BlobLayer(member, diff_id, diff_id, length, media_types.TAR_LAYER)


def _digest(member: _Member) -> str:
    digest = hashlib.sha256()
    with member.open("") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return "sha256:" + digest.hexdigest()


def _inside(files: ArchiveFiles, name: str) -> str:
    """The member that holds a file: Docker 20.10 writes a layer once, and links to it."""
    target = files.links.get(name)
    if target is not None:
        name = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    if name not in files.members:
        raise IntegrityError(f"{files.path}: {name[:200]!r} is missing")
    return name


def _entry(files: ArchiveFiles, reference: str | None) -> Document:
    if _LISTING not in files.members:
        raise BuildError(f"{files.path}: not a Docker archive")
    entries = list(_entries(files.small(_LISTING), str(files.path)))
    found = [each for each in entries if reference is None or reference in each.texts("RepoTags")]
    if len(found) != 1:
        names = sorted(name for each in entries for name in each.texts("RepoTags"))
        problem = f"no image {reference!r}" if not found else "more than one image"
        raise BuildError(
            f"{files.path}: {problem}",
            hint=f"it has: {', '.join(names[:20]) or 'images without names'}",
        )
    return found[0]


def _entries(data: bytes, source: str) -> Iterator[Document]:
    try:
        listing: Any = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{source}: {_LISTING} is not JSON") from error
    if not isinstance(listing, list) or not all(isinstance(each, Mapping) for each in listing):
        raise IntegrityError(f"{source}: {_LISTING} is not a list of objects")
    yield from (Document(f"{source}: {_LISTING}", each) for each in listing)
