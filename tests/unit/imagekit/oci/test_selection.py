# SPDX-License-Identifier: Apache-2.0
"""Which images of an index are meant."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

from imagekit.oci import media_types
from imagekit.oci.descriptor import Descriptor
from imagekit.oci.document import Document, encode
from imagekit.oci.selection import select_all
from tests.fakes.images import file_layer, image_of


class Blobs(dict[str, bytes]):
    """By digest."""

    def size_bytes(self, digest: str) -> int | None:
        return len(self[digest]) if digest in self else None

    def open(self, digest: str) -> BinaryIO:
        return io.BytesIO(self[digest])


def test_what_attests_an_image_is_no_image(tmp_path: Path) -> None:
    """BuildKit lists it beside the image, for a platform that is unknown."""
    layer = file_layer(tmp_path, {"a": b"1"})
    image = image_of(layer)
    statement = encode({"schemaVersion": 2, "mediaType": media_types.MANIFEST})
    attested = Descriptor.of(media_types.MANIFEST, statement).to_json()
    attested["annotations"] = {"vnd.docker.reference.type": "attestation-manifest"}
    attested["platform"] = {"os": "unknown", "architecture": "unknown"}
    manifests = [image.descriptor.to_json(), attested]
    index = encode({"schemaVersion": 2, "manifests": manifests})
    blobs = Blobs()
    for data in (image.manifest_bytes, image.config_bytes, statement, index):
        blobs[Descriptor.of("", data).digest] = data
    blobs[layer.digest] = layer.path.read_bytes()
    outer = {"manifests": [Descriptor.of(next(iter(media_types.INDEXES)), index).to_json()]}
    found = select_all(blobs, Document("index", outer))
    assert found.digest == image.digest
