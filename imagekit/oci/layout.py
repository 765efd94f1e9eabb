# SPDX-License-Identifier: Apache-2.0
"""OCI layout folders (image-spec, image-layout.md): read one, or add an image to one.

A writer holds the layout's lock from its first blob to the index, so two at once both land, and
the index never names a blob that is not whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from imagekit.errors import BuildError, IntegrityError
from imagekit.files import link_or_copy, replacing, sweep
from imagekit.oci import digest, media_types
from imagekit.oci.descriptor import REFERENCE_NAME, Descriptor, Platform
from imagekit.oci.document import LIMIT_BYTES, Document, encode
from imagekit.oci.image import Image
from imagekit.oci.index import Named, documents_of, images_of
from imagekit.oci.layer import FileLayer, Layer
from imagekit.oci.selection import select_image
from imagekit.values import frozen

LAYOUT_FILE = "oci-layout"
LAYOUT_BYTES = encode({"imageLayoutVersion": "1.0.0"})
INDEX_FILE = "index.json"
EMPTY_INDEX = {"schemaVersion": 2, "mediaType": media_types.INDEX, "manifests": []}


@frozen
class LayoutBlobs:
    """The blobs of a layout folder. Where a blob is a link, its digest still has to be right."""

    directory: Path

    def path(self, blob: str) -> Path:
        return self.directory / "blobs" / "sha256" / digest.hexadecimal(blob)

    def size_bytes(self, digest: str) -> int | None:
        try:
            with self.open(digest) as stream:
                return os.fstat(stream.fileno()).st_size
        except FileNotFoundError:
            return None

    def open(self, digest: str) -> BinaryIO:
        return _open(self.path(digest))


def read_layout(
    directory: Path, reference: str | None = None, platform: Platform | None = None
) -> Image:
    """The image that `reference` names (or its digest), or the only one; see `select_image`."""
    index = read_index(directory)
    return select_image(LayoutBlobs(directory), index, reference, platform)


def read_index(directory: Path) -> Document:
    """The outermost index. Raises BuildError where there is no layout."""
    try:
        with _open(directory / LAYOUT_FILE) as stream:
            version = check_layout_file(stream.read(LIMIT_BYTES + 1), str(directory))
        with _open(directory / INDEX_FILE) as stream:
            data = stream.read(LIMIT_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BuildError(f"{directory}: not an OCI layout folder") from error
    return Document.parse(data, f"{directory} (layout {version})")


def check_layout_file(data: bytes, source: str) -> str:
    """The version that a file `oci-layout` says."""
    version = Document.parse(data, f"{source}: {LAYOUT_FILE}").text("imageLayoutVersion")
    if not version.startswith("1."):
        raise IntegrityError(f"{source}: unknown layout version {version[:20]!r}")
    return version


def write_layout(image: Named, directory: Path, reference: str | None = None) -> None:
    """Add an image, or those of several platforms, to the layout at `directory`.

    The folder is made if it is absent. Other images stay; one of the same name, or without a
    name if `reference` is None, is replaced. Blobs of layers that lie in our cache are hard links
    where that is possible.
    """
    _refuse_other_content(directory)
    blobs = LayoutBlobs(directory)
    blobs.path(image.digest).parent.mkdir(parents=True, exist_ok=True)
    with locked(directory):
        _sweep(directory)
        if not (directory / LAYOUT_FILE).exists():
            _replace(directory / LAYOUT_FILE, LAYOUT_BYTES)
        for layer in (layer for each in images_of(image) for layer in each.layers):
            _place(layer, blobs.path(layer.digest))
        for blob, data in documents_of(image).items():
            _replace(blobs.path(blob), data)
        _name(directory, named(image, reference).to_json(), reference)


def add_to_layout(directory: Path, descriptor: Mapping[str, Any], reference: str) -> None:
    """Name a manifest whose blobs lie in the layout; the layout is made if it is none yet."""
    directory.mkdir(parents=True, exist_ok=True)
    with locked(directory):
        if not (directory / LAYOUT_FILE).exists():
            _replace(directory / LAYOUT_FILE, LAYOUT_BYTES)
        _name(directory, {**descriptor, "annotations": {REFERENCE_NAME: reference}}, reference)


def named(image: Named, reference: str | None) -> Descriptor:
    """What an index says of `image` under that name."""
    annotations = {} if reference is None else {REFERENCE_NAME: reference}
    return replace(image.descriptor, annotations=annotations)


def copy_layer(layer: Layer, target: BinaryIO) -> None:
    """Write the compressed bytes of `layer`; raises IntegrityError if their number is wrong."""
    count = 0
    with layer.open() as stream:
        while chunk := stream.read(1 << 20):
            count += len(chunk)
            target.write(chunk)
    if count != layer.size_bytes:
        raise IntegrityError(f"layer {layer.digest}: {count} bytes, not {layer.size_bytes}")


def _name(directory: Path, descriptor: Mapping[str, Any], reference: str | None) -> None:
    index: dict[str, Any] = dict(EMPTY_INDEX)
    if (directory / INDEX_FILE).exists():
        index = dict(read_index(directory).members)
    others = [
        item.members
        for item in Document(str(directory), index).objects("manifests")
        if item.text_map("annotations").get(REFERENCE_NAME) != reference
    ]
    index["manifests"] = [*others, descriptor]
    _replace(directory / INDEX_FILE, encode(index))


def _place(layer: Layer, target: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if target.stat().st_size == layer.size_bytes:
            return
    if isinstance(layer, FileLayer):
        if layer.path.stat().st_size != layer.size_bytes:
            raise IntegrityError(f"layer {layer.digest}: {layer.path} has another size")
        link_or_copy(layer.path, target)
        return
    with replacing(target) as stream:
        copy_layer(layer, stream)


def _replace(path: Path, data: bytes) -> None:
    with replacing(path) as stream:
        stream.write(data)


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep other writers out. The lock is on the folder itself: nothing foreign gets in."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sweep(directory: Path) -> None:
    sweep(directory)
    sweep(directory / "blobs" / "sha256")


def _refuse_other_content(directory: Path) -> None:
    if directory.exists() and not directory.is_dir():
        raise BuildError(f"{directory}: a file, where a layout folder was to be written")
    if not directory.exists() or (directory / LAYOUT_FILE).exists():
        return
    ours = {LAYOUT_FILE, INDEX_FILE, "blobs"}
    if any(
        item.name not in ours and not item.name.endswith(".tmp") for item in directory.iterdir()
    ):
        raise BuildError(
            f"{directory}: not empty, and not an OCI layout", hint="name another folder"
        )


def _open(path: Path) -> BinaryIO:
    # O_NONBLOCK: a FIFO in a hostile layout must not hang us; on files it has no effect.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise IntegrityError(f"{path}: not a regular file")
    return os.fdopen(descriptor, "rb")
