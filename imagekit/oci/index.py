# SPDX-License-Identifier: Apache-2.0
"""Images of several platforms under one name (image-spec, image-index.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from imagekit.oci import media_types
from imagekit.oci.descriptor import Descriptor
from imagekit.oci.document import encode
from imagekit.oci.image import Image
from imagekit.values import frozen


@frozen
class ImageIndex:
    """One image per platform; the same images in the same order give the same bytes."""

    images: tuple[Image, ...]

    @property
    def data(self) -> bytes:
        return encode(
            {
                "schemaVersion": 2,
                "mediaType": media_types.INDEX,
                "manifests": [image.descriptor.to_json() for image in self.images],
            }
        )

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor.of(media_types.INDEX, self.data)

    @property
    def digest(self) -> str:
        return self.descriptor.digest


Named: TypeAlias = Image | ImageIndex
"""What a tag can stand for."""


def images_of(named: Named) -> tuple[Image, ...]:
    return named.images if isinstance(named, ImageIndex) else (named,)


def documents_of(named: Named) -> Mapping[str, bytes]:
    """Manifests, configs and index by digest: all blobs but the layers."""
    found = {}
    for image in images_of(named):
        found[image.config_digest] = image.config_bytes
        found[image.digest] = image.manifest_bytes
    if isinstance(named, ImageIndex):
        found[named.digest] = named.data
    return found
