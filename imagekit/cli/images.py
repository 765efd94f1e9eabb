# SPDX-License-Identifier: Apache-2.0
"""How verbs find the images that their words name."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from imagekit.errors import EngineError
from imagekit.oci.destinations import Destination, read_all, read_image
from imagekit.oci.image import Image
from imagekit.oci.index import Named
from imagekit.oci.scratch import scratch_directory
from imagekit.oci.store import Store
from imagekit.paths import cache_directory
from imagekit.registry.client import shared_client
from imagekit.registry.reference import RegistryReference

_TRANSPORTS = ("oci:", "oci-archive:", "docker-archive:", "docker-daemon:")
_ENGINE = "docker-daemon:"


@contextlib.contextmanager
def opened_image(text: str) -> Iterator[Image]:
    """As `find_image`, and `docker-daemon:NAME` too; the image can be read within the block."""
    if not text.startswith(_ENGINE):
        yield find_image(text)
        return
    # Only what an engine keeps needs one.
    from imagekit.engines.container import Docker  # noqa: PLC0415
    from imagekit.oci.docker_archive import read_docker_archive  # noqa: PLC0415

    docker = Docker(os.environ)
    reason = docker.probe()
    if reason is not None:
        raise EngineError(f"{text}: {reason}")
    with scratch_directory(cache_directory() / "saved") as folder:
        archive = folder / "image.tar"
        docker.save(text.removeprefix(_ENGINE), archive)
        yield read_docker_archive(archive)


def find_image(text: str) -> Image:
    """The image that `text` names: by its transport, or in the local store.

    Of several platforms it is this machine's.
    """
    if text.startswith("docker://"):
        return shared_client().pull(RegistryReference.parse(text.removeprefix("docker://")))
    if text.startswith(_TRANSPORTS):
        return read_image(Destination.parse(text))
    return Store().find(text)


def find_all(text: str) -> Named:
    """As `find_image`, with the images of all platforms."""
    if text.startswith("docker://"):
        return shared_client().pull_all(RegistryReference.parse(text.removeprefix("docker://")))
    if text.startswith(_TRANSPORTS):
        return read_all(Destination.parse(text))
    return Store().find_all(text)
