# SPDX-License-Identifier: Apache-2.0
"""The images of single platforms that have to be built, each on a machine of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from imagekit.builders.existing import Existing, existing
from imagekit.builders.naming import platform_tag
from imagekit.fleet.rows import CONNECTIONS, Row, known
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference
from imagekit.spec.model import ImageSpec
from imagekit.values import frozen


@frozen
class Part:
    """One platform of an image; as `Row` has it. `tag` is where the part waits for the others."""

    name: str
    spec: str
    platform: str
    tag: str
    digest: str
    why: str
    stage: int


def parts(
    found: Sequence[Row], specs: Mapping[Path, ImageSpec], client: RegistryClient | None
) -> list[Part]:
    """A part for each platform of each row, in their order.

    With a client, a part of an image that has to be built has no `why` where its registry has it,
    built from its lock: an earlier run that came to no index left it there.
    """
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        waiting = [
            pool.submit(_part, row, platform, specs, client)
            for row in found
            for platform in row.platforms
        ]
        return [each.result() for each in waiting]


def _part(
    row: Row, platform: str, specs: Mapping[Path, ImageSpec], client: RegistryClient | None
) -> Part:
    tag = platform_tag(row.tag, platform) if row.tag else ""
    there = Existing("unknown")
    if client is not None and row.why and tag and specs[Path(row.spec)].registry is not None:
        locks = known(specs[Path(row.spec)], Path(row.spec)).locks
        own = [lock for lock in locks if lock.target.platform == platform]
        there = existing(RegistryReference.parse(f"{row.name}:{tag}"), own, client)
    why = "" if there.answer == "exists" else row.why
    return Part(row.name, row.spec, platform, tag, there.digest, why, row.stage)
