# SPDX-License-Identifier: Apache-2.0
"""Makes a new image out of a base and more layers. Nothing is read or written.

The same arguments give the same bytes: no clock, no host, no order of a dict gets in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from types import MappingProxyType
from typing import Any

from imagekit.oci import media_types
from imagekit.oci.descriptor import Descriptor, Platform
from imagekit.oci.document import Document, encode
from imagekit.oci.image import Image
from imagekit.oci.layer import Layer
from imagekit.values import frozen

CREATED = "1980-01-02T00:00:00Z"
"""The time of every image and of every file in its layers."""


@frozen
class Addition:
    """A layer, and for people the one line that says what made it."""

    layer: Layer
    created_by: str
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Of the layer, in the manifest."""


@frozen
class Settings:
    """What a container starts with. None, and every name not mentioned, keeps what the base says.

    An entrypoint of its own drops the base's command, which was meant for the base's entrypoint.
    """

    user: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    entrypoint: Sequence[str] | None = None
    command: Sequence[str] | None = None
    workdir: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


def assemble(
    base: Image | None,
    additions: Sequence[Addition],
    settings: Settings,
    *,
    platform: Platform | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Image:
    """Lay `additions` over `base`, in their order.

    Args:
        base: None starts from nothing.
        additions: the first lies directly on the base.
        settings: laid over the base's.
        platform: the base's when None; needed without a base.
        annotations: of the manifest; the base's are not taken over, as they describe the base.
    """
    below = Document("image config", {}) if base is None else base.config
    chosen = platform or (Platform() if base is None else base.platform)
    under = () if base is None else base.layers
    layers = (*under, *(item.layer for item in additions))
    config = {
        **{key: value for key, value in below.members.items() if key != "variant"},
        **chosen.to_json(),
        "created": CREATED,
        "config": _container_config(below.object("config"), settings),
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [*_history(base), *(_entry(item.created_by) for item in additions)],
    }
    config_bytes = encode(config)
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media_types.MANIFEST,
        "config": Descriptor.of(media_types.CONFIG, config_bytes).to_json(),
        "layers": [
            *(_layer_descriptor(layer).to_json() for layer in under),
            *(_layer_descriptor(item.layer, item.annotations).to_json() for item in additions),
        ],
    }
    if annotations:
        manifest["annotations"] = dict(annotations)
    return Image(encode(manifest), config_bytes, layers)


def _container_config(below: Document, settings: Settings) -> dict[str, Any]:
    config = dict(below.members)
    if settings.entrypoint is not None:
        config.pop("Cmd", None)
    given: dict[str, Any] = {
        "User": settings.user,
        "WorkingDir": settings.workdir,
        "Entrypoint": None if settings.entrypoint is None else list(settings.entrypoint),
        "Cmd": None if settings.command is None else list(settings.command),
        "Env": _environment(below.texts("Env"), settings.environment) or None,
        "Labels": {**below.text_map("Labels"), **settings.labels} or None,
    }
    config.update((key, value) for key, value in given.items() if value is not None)
    return config


def _environment(below: Sequence[str], given: Mapping[str, str]) -> list[str]:
    """The base's variables in their order, then the new ones sorted by name."""
    merged = dict(item.partition("=")[::2] for item in below)
    merged.update(sorted(given.items()))
    return [f"{name}={value}" for name, value in merged.items()]


def _history(base: Image | None) -> list[dict[str, Any]]:
    """The base's history if it accounts for each of its layers, else one entry per layer."""
    if base is None:
        return []
    entries = [dict(item.members) for item in base.config.objects("history")]
    filled = [entry for entry in entries if not entry.get("empty_layer")]
    if len(filled) == len(base.layers):
        return entries
    return [_entry("layer of the base image") for _ in base.layers]


def _entry(created_by: str) -> dict[str, Any]:
    return {"created": CREATED, "created_by": created_by}


def _layer_descriptor(
    layer: Layer, annotations: Mapping[str, str] = MappingProxyType({})
) -> Descriptor:
    media_type = media_types.OCI_LAYERS[layer.media_type]
    return Descriptor(media_type, layer.digest, layer.size_bytes, annotations)
