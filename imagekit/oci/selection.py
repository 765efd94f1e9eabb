# SPDX-License-Identifier: Apache-2.0
"""Finds one image in an index: by its name, then by platform, through nested indexes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from imagekit.errors import BuildError, IntegrityError
from imagekit.oci import media_types
from imagekit.oci.blobs import BlobLayer, BlobSource, read_document, read_json, require
from imagekit.oci.descriptor import REFERENCE_NAME, Descriptor, Platform
from imagekit.oci.document import Document
from imagekit.oci.image import Image, diff_ids, layer_descriptors
from imagekit.oci.index import ImageIndex, Named

_DEPTH = 4
_ATTESTATION = "vnd.docker.reference.type"


def select_image(
    source: BlobSource, index: Document, reference: str | None, platform: Platform | None
) -> Image:
    """Read the image that `reference` names in `index`, or its only one.

    Args:
        source: where the blobs lie.
        index: the outermost index.
        reference: value of the annotation `org.opencontainers.image.ref.name`, or a digest.
        platform: chooses among several; None is this machine's.

    Raises:
        BuildError: no such image, or more than one.
        IntegrityError: something in there is not what it says.
    """
    wanted = platform or Platform.of_this_machine()
    named = _named(index, reference)
    images = list(_Walk(source, wanted).images(named))
    if len(images) > 1:
        images = [item for item in images if item.platform and item.platform.fits(wanted)]
    if not images:
        raise BuildError(f"{index.source}: no image for {wanted}")
    if len(images) > 1:
        names = sorted(_name(item) or item.digest for item in named)
        raise BuildError(
            f"{index.source}: more than one image",
            hint=f"name one of: {', '.join(names[:20])}",
        )
    image = read_image(source, images[0])
    if platform is not None and not image.platform.fits(platform):
        raise BuildError(f"{index.source}: its image is for {image.platform}, not {platform}")
    return image


def select_all(source: BlobSource, index: Document, reference: str | None = None) -> Named:
    """The image that `reference` names in `index`, or all those that an index of that name has.

    Raises as `select_image` does.
    """
    found = _named(index, reference)
    if len(found) == 1 and found[0].media_type in media_types.INDEXES:
        _, inner = read_json(source, found[0], "index")
        parts = [part for part in _named(inner, None) if _ATTESTATION not in part.annotations]
        if all(part.media_type in media_types.MANIFESTS and part.platform for part in parts):
            whole = ImageIndex(tuple(read_image(source, part) for part in parts))
            # Others may have put more into theirs than we would write again.
            if whole.digest == found[0].digest:
                return whole
    return select_image(source, index, reference, None)


def read_image(source: BlobSource, descriptor: Descriptor) -> Image:
    """Read the documents of one image and check them; of layers, that they are there."""
    data, manifest = read_json(source, descriptor, "manifest")
    config = Descriptor.from_document(manifest.object("config"))
    if config.media_type not in media_types.CONFIGS:
        raise IntegrityError(f"{manifest.source}: not an image, but {config.media_type[:100]!r}")
    config_bytes = read_document(source, config, "config")
    described = layer_descriptors(manifest)
    parsed = Document.parse(config_bytes, f"config {config.digest}")
    layers = []
    for layer, diff_id in zip(described, diff_ids(parsed, len(described)), strict=True):
        require(source, layer)
        layers.append(BlobLayer(source, layer.digest, diff_id, layer.size_bytes, layer.media_type))
    return Image(data, config_bytes, tuple(layers), descriptor.media_type)


def _named(index: Document, reference: str | None) -> list[Descriptor]:
    descriptors = [Descriptor.from_document(item) for item in index.objects("manifests")]
    if reference is None:
        return descriptors
    found = [item for item in descriptors if reference in (_name(item), item.digest)]
    if not found:
        names = sorted(filter(None, map(_name, descriptors)))
        raise BuildError(
            f"{index.source}: no image {reference!r}",
            hint=f"it has: {', '.join(names[:20]) or 'images without names'}",
        )
    return found


class _Walk:
    """Goes down nested indexes; each is read once, whatever points at it."""

    def __init__(self, source: BlobSource, wanted: Platform) -> None:
        self._source = source
        self._wanted = wanted
        self._seen: set[str] = set()

    def images(self, descriptors: Iterable[Descriptor], depth: int = 0) -> Iterator[Descriptor]:
        if depth > _DEPTH:
            raise IntegrityError("indexes are nested too deep")
        for descriptor in descriptors:
            if descriptor.digest in self._seen or _ATTESTATION in descriptor.annotations:
                continue
            self._seen.add(descriptor.digest)
            if descriptor.media_type in media_types.MANIFESTS:
                yield descriptor
            elif descriptor.media_type in media_types.INDEXES:
                yield from self.images(self._inside(descriptor), depth + 1)

    def _inside(self, descriptor: Descriptor) -> list[Descriptor]:
        _, index = read_json(self._source, descriptor, "index")
        inner = [Descriptor.from_document(item) for item in index.objects("manifests")]
        fitting = [item for item in inner if item.platform and item.platform.fits(self._wanted)]
        return fitting or inner


def _name(descriptor: Descriptor) -> str:
    return descriptor.annotations.get(REFERENCE_NAME, "")
