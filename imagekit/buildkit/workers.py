# SPDX-License-Identifier: Apache-2.0
"""What a worker can do, so that what it can't is told before anything is built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import grpc

from imagekit.buildkit import rpc
from imagekit.buildkit.transport import Transport
from imagekit.errors import BuildError

_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker's own description of itself.

    `version` is empty where it does not say, as BuildKit before 0.12 does not.
    """

    identifier: str
    labels: dict[str, str]
    platforms: tuple[str, ...]
    version: str


def describe(transport: Transport) -> Worker:
    """Ask for the first worker, which is the one that builds.

    Raises BuildError where nobody answers, or the answer is not BuildKit's.
    """
    try:
        answer = rpc.list_workers(transport.channel)({}, timeout=_SECONDS)
    except grpc.RpcError as error:
        code, details = error.code(), error.details()
        raise BuildError(
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


def _platforms(found: Sequence[dict[str, str]]) -> tuple[str, ...]:
    return tuple(
        "/".join(filter(None, (item.get("OS"), item.get("Architecture"), item.get("Variant"))))
        for item in found
    )
