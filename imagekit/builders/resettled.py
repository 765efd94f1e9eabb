# SPDX-License-Identifier: Apache-2.0
"""The plan's settings, and what says its lock, on an image that another tool made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imagekit.oci import media_types
from imagekit.oci.descriptor import Descriptor
from imagekit.oci.document import encode
from imagekit.oci.image import Image


def engine_config(settled: Image) -> bytes:
    """What an exporter is told of an image's settings; layers and history it knows itself."""
    found = {
        **settled.platform.to_json(),
        "config": dict(settled.config.object("config").members),
        "rootfs": {"type": "layers"},
    }
    return encode(found)


def resettled(made: Image, settled: Image) -> Image:
    """The layers of `made` with the settings, annotations and platform of `settled`."""
    config = encode(
        {
            **settled.config.members,
            "rootfs": dict(made.config.object("rootfs").members),
            "history": [dict(entry.members) for entry in made.config.objects("history")],
        }
    )
    manifest: dict[str, Any] = {
        **settled.manifest.members,
        "config": Descriptor.of(media_types.CONFIG, config).to_json(),
        "layers": _layers(made),
    }
    return Image(encode(manifest), config, made.layers)


def annotated(made: Image, annotations: Mapping[str, str]) -> Image:
    """The same layers and settings, under a manifest of OCI's with `annotations`."""
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media_types.MANIFEST,
        "config": Descriptor.of(media_types.CONFIG, made.config_bytes).to_json(),
        "layers": _layers(made),
        "annotations": dict(annotations),
    }
    return Image(encode(manifest), made.config_bytes, made.layers)


def _layers(image: Image) -> list[dict[str, Any]]:
    return [
        Descriptor(
            media_types.OCI_LAYERS[layer.media_type], layer.digest, layer.size_bytes
        ).to_json()
        for layer in image.layers
    ]
