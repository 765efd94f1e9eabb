# SPDX-License-Identifier: Apache-2.0
"""What a server takes of its node: memory with its shared memory, and disk that fits the weights.

A kubelet adds up the limits on ephemeral storage that a pod's containers have, and evicts the pod
when all of it together, with its volumes on disk, takes more: one container's limit is then
everybody's. So the server has a request alone, unless the pod has such a limit already; then it
needs one of its own, or its weights would be counted against the task's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .errors import PodError
from .pod import all_containers, mapped
from .quantity import format_bytes, parse_quantity
from .sidecar import Server, Sidecar

DISK = "ephemeral-storage"
_SCRATCH_BYTES = 2 * 1024**3  # logs, compiled kernels, temporary files
_PARTIAL, _PACKED = (6, 5), (2, 1)  # downloads hold a part of the weights twice, or all of them


def resources_of(sidecar: Sidecar, served: Server, *, has_disk_limit: bool) -> dict[str, Any]:
    """Requests and limits alike, but for the disk. Pages of /dev/shm are memory of the server's."""
    memory = parse_quantity(sidecar.memory)
    if shm := shm_of(sidecar, served):
        memory += parse_quantity(shm)
    limits = {"cpu": sidecar.cpu, "memory": format_bytes(memory)}
    if sidecar.gpu:
        limits[sidecar.gpu_resource] = str(sidecar.gpu)
    requests = dict(limits)
    is_known = sidecar.weights_size is not None or served.store_path is None or sidecar.store
    if is_known:
        requests[DISK] = format_bytes(_SCRATCH_BYTES + store_bytes(sidecar, served))
    elif has_disk_limit:
        raise PodError(
            ["the pod has a limit on ephemeral storage, and the size of the weights is not known"],
            hint="weights= says it: the kubelet counts them against the pod's limit",
        )
    if has_disk_limit:
        limits[DISK] = requests[DISK]
    return {"requests": requests, "limits": limits}


def shm_of(sidecar: Sidecar, served: Server) -> str | None:
    return sidecar.shm or served.shm


def store_bytes(sidecar: Sidecar, served: Server) -> int:
    """What weights take of the node's own disk: nothing where they have a volume of their own."""
    if served.store_path is None or sidecar.store or sidecar.weights_size is None:
        return 0
    packed = any(files.source.startswith("oci://") for files in sidecar.fetched.values())
    more, than = _PACKED if packed else _PARTIAL
    weights = parse_quantity(sidecar.weights_size)
    copied = weights if served.copies and sidecar.fetched else 0
    return math.ceil(weights * more / than + copied)


def has_disk_limit(spec: Mapping[str, Any], server: str) -> bool:
    """Whether any container besides the server has a limit on ephemeral storage."""
    return any(
        DISK in mapped(mapped(container, "resources"), "limits")
        for _, container in all_containers(spec)
        if container.get("name") != server
    )
