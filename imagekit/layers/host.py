# SPDX-License-Identifier: Apache-2.0
"""What this machine can run."""

from __future__ import annotations

import os

_NATIVE = {"x86_64": "amd64", "aarch64": "arm64"}


def host_can_run(architecture: str) -> bool:
    """Whether this machine runs programs of an OCI architecture (`amd64`, `arm64`) itself."""
    machine = os.uname()
    return machine.sysname == "Linux" and _NATIVE.get(machine.machine) == architecture
