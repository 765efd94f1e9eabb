# SPDX-License-Identifier: Apache-2.0
"""Layers by recipe in a repository, so that what was made once is found by every machine.

A record is an OCI manifest under the tag `layer-RECIPE`, which names the layer and keeps it from
being collected; that a set of wheels was found free of conflicts is one under `wheels-SET`. Writers
of one record write the same bytes, so they need not know of each other. Whoever may write to the
repository decides what is in the layers: it is asked only where the user trusts it.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, BinaryIO

from imagekit.errors import IntegrityError
from imagekit.oci import digest, media_types
from imagekit.oci.blobs import read_document
from imagekit.oci.descriptor import Descriptor
from imagekit.oci.document import encode
from imagekit.oci.image import Image
from imagekit.oci.layer import GZIP_LAYER, Layer, PromisedLayer
from imagekit.registry.blobs import RegistryBlobs
from imagekit.registry.client import RegistryClient
from imagekit.registry.manifests import Manifest
from imagekit.registry.reference import RegistryReference

ARTIFACT = "application/vnd.imagekit.layer.v1"
CLAIMS = "application/vnd.imagekit.claims.v1+json"
"""Media type of a record's config that says what the layer's wheels write."""

_RECIPE = "dev.imagekit.recipe"
_DIFF_ID = "dev.imagekit.diff-id"
_EMPTY = b"{}"


class LayerRecords:
    """The records of one repository, `HOST/NAME`. Any thread may use it."""

    def __init__(self, client: RegistryClient, repository: str) -> None:
        self.repository = RegistryReference.parse(repository)
        self._client = client
        self._manifests: dict[str, Manifest] = {}

    def __str__(self) -> str:
        return f"{self.repository.host}/{self.repository.repository}"

    def may_be_missing(self, *, missing: bool) -> None:
        """See RegistryClient."""
        self._client.may_be_missing(self.repository, missing=missing)

    @property
    def blobs(self) -> RegistryBlobs:
        return self._client.blobs(self.repository)

    def find(self, recipe: str) -> PromisedLayer | None:
        """The layer of a recipe, named by 64 hex digits; None where there is no record.

        Raises:
            RegistryError: it could not be found out.
            IntegrityError: what stands there is no record of that recipe.
        """
        found = self._find(recipe)
        return None if found is None else _promise(found, recipe)

    def find_claims(self, recipe: str) -> bytes | None:
        """What the record says of the layer's wheels (`imagekit.layers.claims`), if anything.

        Raises as `find` does.
        """
        found = self._find(recipe)
        if found is None:
            return None
        _promise(found, recipe)
        config = Descriptor.from_document(found.document.object("config"))
        if config.media_type != CLAIMS:
            return None
        blobs = self.blobs
        blobs.add(found)
        return read_document(blobs, config, f"record of {recipe}")

    def add(
        self,
        recipe: str,
        layer: Layer,
        mount_from: RegistryReference | None = None,
        *,
        claims: bytes = b"",
    ) -> None:
        """Record a layer, and send it where the repository has none.

        `mount_from` is a repository that has it, to be mounted from on the same registry;
        `claims` is what `find_claims` shall give.
        Raises as pushing an image does.
        """
        near = mount_from is not None and mount_from.host == self.repository.host
        record = record_of(recipe, layer, claims)
        with self._client.uploader(self._tag(f"layer-{recipe}")) as uploader:
            uploader.push_layer(layer, mount_from.repository if near and mount_from else "")
            uploader.push_image(record)

    def has_set(self, wheels: str) -> bool:
        """Whether a set of wheels, named by 64 hex digits, was found free of conflicts.

        Raises as `find` does.
        """
        found = self._client.find_manifest(self._tag(f"wheels-{wheels}"))
        return found is not None and _annotations(found).get(_RECIPE) == wheels

    def add_set(self, wheels: str) -> None:
        """Record that a set of wheels is free of conflicts. Raises as pushing an image does."""
        with self._client.uploader(self._tag(f"wheels-{wheels}")) as uploader:
            uploader.push_image(_record({_RECIPE: wheels}, _EmptyLayer()))

    def _find(self, recipe: str) -> Manifest | None:
        """Asked once where there is one."""
        if recipe not in self._manifests:
            found = self._client.find_manifest(self._tag(f"layer-{recipe}"))
            if found is None:
                return None
            self._manifests[recipe] = found
        return self._manifests[recipe]

    def _tag(self, tag: str) -> RegistryReference:
        return RegistryReference.parse(f"{self}:{tag}")


def record_of(recipe: str, layer: Layer, claims: bytes = b"") -> Image:
    """The record itself, in the form of an image, as it is pushed like one."""
    return _record({_RECIPE: recipe, _DIFF_ID: layer.diff_id}, layer, claims)


class _EmptyLayer:
    """Stands where a manifest must name a layer."""

    digest = digest.of_bytes(_EMPTY)
    diff_id = digest
    size_bytes = len(_EMPTY)
    media_type = media_types.EMPTY

    def open(self) -> BinaryIO:
        return io.BytesIO(_EMPTY)


def _record(annotations: Mapping[str, str], layer: Layer, claims: bytes = b"") -> Image:
    kind, config = (CLAIMS, claims) if claims else (media_types.EMPTY, _EMPTY)
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media_types.MANIFEST,
        "artifactType": ARTIFACT,
        "config": Descriptor.of(kind, config).to_json(),
        "layers": [Descriptor(layer.media_type, layer.digest, layer.size_bytes).to_json()],
        "annotations": dict(annotations),
    }
    return Image(encode(manifest), config, (layer,))


def _annotations(found: Manifest) -> Mapping[str, str]:
    document = found.document
    if found.is_index or document.text("artifactType", "") != ARTIFACT:
        raise IntegrityError(f"{document.source}: no record of a layer")
    return document.text_map("annotations")


def _promise(found: Manifest, recipe: str) -> PromisedLayer:
    annotations = _annotations(found)
    layers = [Descriptor.from_document(item) for item in found.document.objects("layers")]
    right = len(layers) == 1 and layers[0].media_type == GZIP_LAYER
    if not right or annotations.get(_RECIPE) != recipe:
        raise IntegrityError(f"{found.document.source}: not the record of {recipe}")
    diff_id = digest.check(annotations.get(_DIFF_ID, ""))
    return PromisedLayer(layers[0].digest, diff_id, layers[0].size_bytes)
