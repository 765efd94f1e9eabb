# SPDX-License-Identifier: Apache-2.0
"""What a worker can do, so that what it can't is told before anything is built."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import field

import grpc

from imagekit.buildkit import rpc
from imagekit.buildkit.transport import Transport
from imagekit.errors import BuildError
from imagekit.values import frozen

_SECONDS = 20.0
_LABELS = "org.mobyproject.buildkit.worker."
_OLDEST = (0, 11)
"""The first BuildKit whose frontend starts from images of the session (`oci-layout://`)."""


@frozen
class Worker:
    """A worker's own description of itself.

    `version` is empty where it does not say, as BuildKit before 0.11 does not.
    """

    identifier: str
    labels: Mapping[str, str] = field(default_factory=dict)
    platforms: tuple[str, ...] = ()
    version: str = ""

    @property
    def is_engine(self) -> bool:
        """Whether it is the BuildKit inside a Docker Engine."""
        labelled = any(name.startswith(f"{_LABELS}moby.") for name in self.labels)
        return labelled or self.identifier == "moby" or self.version.endswith("moby")

    @property
    def keeps_manifests(self) -> bool:
        """Whether it has OCI's manifests: buildkitd does, an engine with containerd's store."""
        return not self.is_engine or f"{_LABELS}containerd.namespace" in self.labels

    def lacks_platform(self, platform: str) -> list[str]:
        """That it can't build for `platform`, in a line, where it can't."""
        if platform in self.platforms:
            return []
        able = ", ".join(self.platforms) or "nothing"
        return [f"it can't build {platform}; it builds {able}"]

    def lacks(self, platform: str) -> list[str]:
        """What it can't do of what every build of `platform` that is sent here needs."""
        found = self.lacks_platform(platform)
        if not self.keeps_manifests:
            found.append(
                "it is a Docker Engine without the containerd image store, which gives no image "
                "away: no OCI output, no direct push, no several platforms, no attestations"
            )
        elif not self.is_engine and _number(self.version) < _OLDEST:
            said = self.version or "older than 0.11"
            found.append(f"its BuildKit is {said}, and images to start from need 0.11")
        return found


def describe(transport: Transport, seconds: float = _SECONDS) -> Worker:
    """Ask for the first worker, which is the one that builds, and wait so long at most.

    Raises BuildError where nobody answers, or the answer is not BuildKit's.
    """
    try:
        answer = rpc.list_workers(transport.channel)({}, timeout=seconds)
    except grpc.RpcError as error:
        code, details = error.code(), error.details()
        raise transport.failure or BuildError(
            f"asking the BuildKit worker at {transport.address}: {details or code}",
            hint="is that the address of a running buildkitd, and are its certificates right?",
        ) from error
    records = answer.get("record", [])
    if not records:
        raise BuildError(f"the BuildKit at {transport.address} has no worker")
    record = records[0]
    return Worker(
        record.get("ID", ""),
        record.get("Labels", {}),
        _platforms(record.get("platforms", ())),
        record.get("BuildkitVersion", {}).get("version", ""),
    )


def _platforms(found: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    return tuple(
        "/".join(filter(None, (item.get("OS"), item.get("Architecture"), item.get("Variant"))))
        for item in found
    )


def _number(version: str) -> tuple[int, int]:
    """Major and minor; a version of no release counts as the newest, none at all as the oldest."""
    if not version:
        return 0, 0
    found = re.match(r"v?(\d+)\.(\d+)\.", version)
    if found is None or version.startswith("v0.0.0"):
        return 1 << 16, 0
    return int(found[1]), int(found[2])
