# SPDX-License-Identifier: Apache-2.0
"""Images that need no build, because the registry has them from the very same lock."""

from __future__ import annotations

import contextlib
import functools

from imagekit.builders.existing import existing
from imagekit.builders.model import BuildRequest, Built
from imagekit.builders.tagging import image_tag
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference


def present_image(request: BuildRequest) -> Built | None:
    """The image of a request that only has to be in its registry, where it is there.

    None where it has to be built, and where the registry can't be asked, which is told.
    """
    tag = image_tag(request.spec, request.spec_path, request.locks)
    reference = RegistryReference.parse(f"{request.reference}:{tag}")
    client = RegistryClient()
    with contextlib.closing(client):
        found = existing(reference, request.locks, client)
    task = request.progress.task(f"looking for {reference}")
    if found.answer == "unknown":
        task.failed(f"unknown, so it is built: {found.reason}")
    else:
        task.done(cached=found.answer == "exists")
    if found.answer != "exists":
        return None
    read = functools.cache(functools.partial(client.pull_all, reference.at(found.digest)))
    return Built(request.reference, tag, found.digest, read)
