# SPDX-License-Identifier: Apache-2.0
"""Is an image internally true? Reads every byte of it, and reports all that is wrong at once."""

from __future__ import annotations

from collections.abc import Iterator

from imagekit.errors import IntegrityError
from imagekit.oci import media_types
from imagekit.oci.compression import uncompressed
from imagekit.oci.descriptor import Descriptor
from imagekit.oci.image import Image, diff_ids, layer_descriptors
from imagekit.oci.layer import Layer
from imagekit.oci.tarstream import members

_NO_LIMIT_BYTES = 1 << 62


def validate(image: Image) -> None:
    """Raise IntegrityError, one line per problem, unless everything in `image` fits together."""
    problems = [*_documents(image), *_history(image)]
    for layer in image.layers:
        try:
            _check_tar(layer)
        except IntegrityError as error:
            problems.append(f"layer {layer.digest}: {error.message}")
    if problems:
        raise IntegrityError("\n".join(problems))


def _documents(image: Image) -> Iterator[str]:
    manifest, config = image.manifest, image.config
    if manifest.count("schemaVersion") != 2:
        yield "schemaVersion is not 2"
    if manifest.text("mediaType", image.media_type) != image.media_type:
        yield "the manifest's mediaType is not that of its descriptor"
    if image.media_type not in media_types.MANIFESTS:
        yield f"{image.media_type!r} is no media type of a manifest"
    described = Descriptor.from_document(manifest.object("config"))
    if described.media_type not in media_types.CONFIGS:
        yield f"{described.media_type!r} is no media type of a config"
    if (described.digest, described.size_bytes) != (image.config_digest, len(image.config_bytes)):
        yield "the manifest describes another config"
    if config.object("rootfs").text("type") != "layers":
        yield "rootfs.type is not 'layers'"
    if not (image.platform.os and image.platform.architecture):
        yield "the config has no os or no architecture"
    yield from _layers(image)


def _layers(image: Image) -> Iterator[str]:
    described = layer_descriptors(image.manifest)
    stored = [(layer.digest, layer.size_bytes) for layer in image.layers]
    if [(item.digest, item.size_bytes) for item in described] != stored:
        yield "the manifest describes other layers"
    if list(diff_ids(image.config, len(described))) != [layer.diff_id for layer in image.layers]:
        yield "the config has other diff_ids"


def _history(image: Image) -> Iterator[str]:
    entries = image.config.objects("history")
    filled = [entry for entry in entries if not entry.members.get("empty_layer")]
    if entries and len(filled) != len(image.layers):
        yield f"{len(filled)} entries of history for {len(image.layers)} layers"


def _check_tar(layer: Layer) -> None:
    seen = set()
    with uncompressed(layer, _NO_LIMIT_BYTES) as tar:
        for member, _ in members(tar):
            parts = member.name.split("/")
            if ".." in parts or member.name.startswith("/") or "\0" in member.name:
                raise IntegrityError(f"holds the path {member.name[:200]!r}")
            path = "/".join(part for part in parts if part not in ("", "."))
            if path in seen:
                raise IntegrityError(f"holds {path[:200]!r} twice")
            seen.add(path)
