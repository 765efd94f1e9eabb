# SPDX-License-Identifier: Apache-2.0
"""What this machine can run."""

from __future__ import annotations

import os

ELSEWHERE = (
    "build on such a machine, or with `builder: buildkit` and a worker for that platform, or with "
    "`builder: docker` and an engine that runs it"
)
"""What to do where this machine runs no programs of a platform."""

_NATIVE = {"x86_64": "amd64", "aarch64": "arm64"}


def host_can_run(architecture: str) -> bool:
    """Whether this machine runs programs of an OCI architecture (`amd64`, `arm64`) itself."""
    machine = os.uname()
    return machine.sysname == "Linux" and _NATIVE.get(machine.machine) == architecture
