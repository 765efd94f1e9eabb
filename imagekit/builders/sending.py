# SPDX-License-Identifier: Apache-2.0
"""What a push will send, found out by asking the registry for each blob."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from imagekit.oci.blobs import BlobLayer
from imagekit.oci.image import Image
from imagekit.oci.index import ImageIndex
from imagekit.oci.layer import Layer
from imagekit.registry.blobs import RegistryBlobs
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference
from imagekit.values import frozen

_WORKERS = 8

There = Literal["present", "mounted", "pushed"]


@frozen
class Sending:
    """What becomes of each layer, by digest, and the bytes of all bodies that are sent.

    `exact` is False where some layers are unknown: then more is sent than `size_bytes`.
    """

    there: Mapping[str, There]
    size_bytes: int
    exact: bool


def sending(
    images: Sequence[Image | None],
    layers: Sequence[Layer],
    reference: RegistryReference,
    client: RegistryClient,
) -> Sending:
    """What pushing `images`, one per platform, under `reference` would send.

    Args:
        images: None where not all of its layers are known.
        layers: the known layers of all of them.
        reference: the repository and tag.
        client: asks the registry; nothing is written.

    Raises:
        RegistryError: the registry can't be asked.
    """
    known = [image for image in images if image is not None]
    exact = len(known) == len(images)
    if exact and client.manifest_digest(reference) == _named(known).digest:
        return Sending({layer.digest: "present" for layer in layers}, 0, exact)
    sizes = {layer.digest: layer.size_bytes for layer in layers}
    sizes.update((image.config_digest, len(image.config_bytes)) for image in known)
    there = {layer.digest: found for layer in layers if (found := _pulled(layer, reference))}
    with ThreadPoolExecutor(_WORKERS) as pool:
        asked = {
            digest: pool.submit(_asked, client, reference, digest)
            for digest in sizes
            if digest not in there
        }
        there.update((digest, answer.result()) for digest, answer in asked.items())
    size_bytes = sum(size for digest, size in sizes.items() if there[digest] == "pushed")
    return Sending(there, size_bytes + (_documents(known) if exact else 0), exact)


def _named(images: Sequence[Image]) -> Image | ImageIndex:
    return images[0] if len(images) == 1 else ImageIndex(tuple(images))


def _documents(images: Sequence[Image]) -> int:
    """Bytes of the manifests, and of the index above several."""
    index = len(ImageIndex(tuple(images)).data) if len(images) > 1 else 0
    return index + sum(len(image.manifest_bytes) for image in images)


def _asked(client: RegistryClient, reference: RegistryReference, digest: str) -> There:
    """What the registry says of a blob, here and where it was pushed to before."""
    if client.blob_size(reference, digest) is not None:
        return "present"
    neighbour = client.neighbour(reference, digest)
    if neighbour is None or client.blob_size(neighbour, digest) is None:
        return "pushed"
    return "mounted"


def _pulled(layer: Layer, reference: RegistryReference) -> There | None:
    """What becomes of a layer that was pulled from the same registry; None of any other."""
    source = layer.source if isinstance(layer, BlobLayer) else None
    if not isinstance(source, RegistryBlobs) or source.host != reference.host:
        return None
    return "present" if source.repository == reference.repository else "mounted"
