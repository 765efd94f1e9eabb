# SPDX-License-Identifier: Apache-2.0
"""Where an image goes that a worker sent here."""

from __future__ import annotations

from imagekit.builders.model import BuildRequest, Built
from imagekit.builders.targets import Target, deliver
from imagekit.oci.index import Named
from imagekit.oci.store import Store
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference


def all_targets(request: BuildRequest, tag: str) -> list[Target]:
    """Those that were asked for, and the spec's own registry where it is to be pushed there."""
    targets: list[Target] = list(request.to)
    if request.push:
        targets.append(RegistryReference.parse(f"{request.reference}:{tag}"))
    return targets


def delivered_from_here(request: BuildRequest, named: Named, tag: str) -> Built:
    """Bring `named` to all its places, or to the local store where there are none."""
    name = f"{request.reference}:{tag}"
    targets = all_targets(request, tag)
    client = RegistryClient(progress=request.progress)
    try:
        for target in targets:
            deliver(named, target, name, client)
    finally:
        client.close()
    if not targets:
        Store().add(named, name)
    return Built(request.reference, tag, named.digest, lambda: named)
