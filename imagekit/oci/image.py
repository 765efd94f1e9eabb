# SPDX-License-Identifier: Apache-2.0
"""An image, as an immutable view: the bytes of its two documents, and its layers.

Where the image lives does not show: a layer is read when its bytes are wanted.
"""

from __future__ import annotations

from collections.abc import Sequence

from imagekit.errors import IntegrityError
from imagekit.oci import digest, media_types
from imagekit.oci.descriptor import Descriptor, Platform
from imagekit.oci.document import Document
from imagekit.oci.layer import Layer
from imagekit.values import frozen


@frozen
class Image:
    """`layers` has the base first. Make one with `assemble`, or read one from where it lives."""

    manifest_bytes: bytes
    config_bytes: bytes
    layers: tuple[Layer, ...]
    media_type: str = media_types.MANIFEST

    @property
    def digest(self) -> str:
        """What names the image: the digest of its manifest."""
        return digest.of_bytes(self.manifest_bytes)

    @property
    def config_digest(self) -> str:
        """What Docker calls the image ID."""
        return digest.of_bytes(self.config_bytes)

    @property
    def manifest(self) -> Document:
        return Document.parse(self.manifest_bytes, "image manifest")

    @property
    def config(self) -> Document:
        """The whole config; what containers start with is its object `config`."""
        return Document.parse(self.config_bytes, "image config")

    @property
    def platform(self) -> Platform:
        return Platform.from_document(self.config)

    @property
    def annotations(self) -> dict[str, str]:
        return self.manifest.text_map("annotations")

    @property
    def descriptor(self) -> Descriptor:
        """What an index says of this image."""
        plain = Descriptor.of(self.media_type, self.manifest_bytes)
        return Descriptor(plain.media_type, plain.digest, plain.size_bytes, {}, self.platform)


def layer_descriptors(manifest: Document) -> list[Descriptor]:
    """The layers that a manifest names, all of a type that can be read."""
    found = [Descriptor.from_document(item) for item in manifest.objects("layers")]
    for descriptor in found:
        if descriptor.media_type not in media_types.OCI_LAYERS:
            raise IntegrityError(
                f"{manifest.source}: layers of type {descriptor.media_type[:100]!r} can't be read"
            )
    return found


def diff_ids(config: Document, count: int) -> Sequence[str]:
    """The digests of the uncompressed layers, which must be `count`."""
    found = config.object("rootfs").texts("diff_ids")
    if len(found) != count:
        raise IntegrityError(f"{config.source}: {len(found)} diff_ids for {count} layers")
    return [digest.check(item) for item in found]
