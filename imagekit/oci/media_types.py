# SPDX-License-Identifier: Apache-2.0
"""Media types of OCI's image-spec, and Docker's older names for the same things."""

from __future__ import annotations

from collections.abc import Mapping

from imagekit.oci.layer import GZIP_LAYER

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
TAR_LAYER = "application/vnd.oci.image.layer.v1.tar"
ZSTD_LAYER = "application/vnd.oci.image.layer.v1.tar+zstd"

EMPTY = "application/vnd.oci.empty.v1+json"
"""Of the blob `{}`, where a manifest has to name one and there is nothing to say."""

DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"

INDEXES = frozenset({INDEX, DOCKER_INDEX})
MANIFESTS = frozenset({MANIFEST, DOCKER_MANIFEST})
CONFIGS = frozenset({CONFIG, DOCKER_CONFIG})

OCI_LAYERS: Mapping[str, str] = {
    GZIP_LAYER: GZIP_LAYER,
    TAR_LAYER: TAR_LAYER,
    ZSTD_LAYER: ZSTD_LAYER,
    "application/vnd.docker.image.rootfs.diff.tar.gzip": GZIP_LAYER,
    "application/vnd.docker.image.rootfs.diff.tar": TAR_LAYER,
    "application/vnd.docker.image.rootfs.diff.tar.zstd": ZSTD_LAYER,
}
"""Every layer type that can be read, and OCI's name for it."""
