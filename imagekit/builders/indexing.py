# SPDX-License-Identifier: Apache-2.0
"""Puts images that were built on different machines under one tag."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from imagekit.builders.layerings import LOCK_ANNOTATION
from imagekit.builders.naming import platform_tag, repository
from imagekit.builders.tagging import image_tag
from imagekit.errors import BuildError
from imagekit.lock.model import Lock
from imagekit.oci.descriptor import Platform
from imagekit.oci.image import Image
from imagekit.oci.index import ImageIndex
from imagekit.registry.client import RegistryClient
from imagekit.registry.push import PushReport
from imagekit.registry.reference import RegistryReference
from imagekit.spec.model import ImageSpec


def index_images(
    spec: ImageSpec, spec_path: Path, locks: Sequence[Lock], client: RegistryClient
) -> PushReport:
    """Push the index of what `build` with a platform has pushed, one image for each of `locks`.

    It is the index, or of one platform the image, that one machine would have pushed.

    Raises:
        BuildError: the spec names no registry; or an image is missing, or of another lock.
        RegistryError: the registry refuses, or can't be asked.
    """
    if spec.registry is None:
        raise BuildError("the spec names no registry", hint="add `registry: HOST/TEAM`")
    name = f"{repository(spec)}:{image_tag(spec, spec_path, locks)}"
    images = tuple(_pulled(client, name, lock) for lock in locks)
    named = images[0] if len(images) == 1 else ImageIndex(images)
    waiting = [platform_tag(name, lock.target.platform).rpartition(":")[2] for lock in locks]
    return client.push(named, RegistryReference.parse(name), siblings=waiting)


def _pulled(client: RegistryClient, name: str, lock: Lock) -> Image:
    reference = RegistryReference.parse(platform_tag(name, lock.target.platform))
    image = client.pull(reference, Platform.parse(lock.target.platform))
    if image.annotations.get(LOCK_ANNOTATION) != lock.digest:
        raise BuildError(f"{reference} was built from another lock", hint="build it again")
    return image
