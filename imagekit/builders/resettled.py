# SPDX-License-Identifier: Apache-2.0
"""The plan's settings on an image whose files another tool made."""

from __future__ import annotations

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
        "layers": [dict(layer.members) for layer in made.manifest.objects("layers")],
    }
    return Image(encode(manifest), config, made.layers)
