# SPDX-License-Identifier: Apache-2.0
"""The variables of an image with CUDA: as NVIDIA's own images have them."""

from __future__ import annotations

from collections.abc import Mapping

from imagekit.bases import cuda
from imagekit.layers.venv import Venv
from imagekit.lock.model import Lock

_DRIVER = ("/usr/local/nvidia/lib", "/usr/local/nvidia/lib64")
"""Where nodes without NVIDIA's container runtime mount the driver's libraries."""

_PROGRAMS = "/usr/local/nvidia/bin:/usr/local/cuda/bin"
"""Of the driver, and of a base's toolkit; in front of the system's in PATH."""


def with_cuda(env: Mapping[str, str], lock: Lock, venv: Venv, version: str) -> dict[str, str]:
    """`env` with what an image for CUDA `version` needs; what a base with CUDA says is left alone.

    `version` is X.Y.
    """
    path = env["PATH"]
    if _PROGRAMS not in path:
        first, _, rest = path.partition(":")
        path = f"{first}:{_PROGRAMS}:{rest}"
    return {**env, "PATH": path, **_variables(lock, venv, version)}


def _variables(lock: Lock, venv: Venv, version: str) -> dict[str, str]:
    held = lock.base.get("cuda")
    folders = _wheel_folders(lock, venv)
    if held is not None:
        path = [*filter(None, held.get("library-path", "").split(":"))] or [*_DRIVER]
        return {"LD_LIBRARY_PATH": ":".join([*path, *folders])} if folders else {}
    return {
        "NVIDIA_VISIBLE_DEVICES": "all",
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
        "NVIDIA_REQUIRE_CUDA": f"cuda>={version.partition('.')[0]}.0",
        "LD_LIBRARY_PATH": ":".join([*_DRIVER, *folders]),
    }


def _wheel_folders(lock: Lock, venv: Venv) -> list[str]:
    """Absolute, each once, sorted."""
    toolkit = next(
        (
            int(w.version.partition(".")[0])
            for w in lock.packages
            if w.name == "nvidia-cuda-runtime"
        ),
        max(cuda.majors()),
    )
    found = (cuda.library_folder(wheel.name, toolkit) for wheel in lock.packages)
    return [f"/{venv.site_packages}/{folder}" for folder in sorted({*filter(None, found)})]
