# SPDX-License-Identifier: Apache-2.0
"""What an image with CUDA has beside its packages: as NVIDIA's own images have it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from imagekit.bases import cuda
from imagekit.layers.venv import Venv
from imagekit.lock.model import Lock, LockedWheel
from imagekit.planning.steps import ListLibraries, Step

_DRIVER = ("/usr/local/nvidia/lib", "/usr/local/nvidia/lib64")
"""Where nodes without NVIDIA's container runtime mount the driver's libraries."""

_PROGRAMS = "/usr/local/nvidia/bin:/usr/local/cuda/bin"
"""Of the driver, and of a base's toolkit; in front of the system's in PATH."""


def listed(lock: Lock, venv: Venv) -> Iterator[ListLibraries]:
    """The step that tells the loader of NVIDIA's wheels, where there are any.

    None where scripts of Debian packages run: they make the loader's cache again, before the
    wheels are there.
    """
    wheels = tuple(_by_wheel(lock, venv))
    if wheels and not (lock.apt and lock.apt["scripts"]):
        platform = lock.target.platform
        yield ListLibraries(wheels, tuple(_folders(lock, venv)), platform, lock.apt)


def with_cuda(
    env: Mapping[str, str], lock: Lock, venv: Venv, version: str, steps: Sequence[Step]
) -> dict[str, str]:
    """`env` with what an image for CUDA `version` needs; what a base with CUDA says is left alone.

    `version` is X.Y. Of the folders of wheels only those are named that no step tells the loader.
    """
    path = env["PATH"]
    if _PROGRAMS not in path:
        first, _, rest = path.partition(":")
        path = f"{first}:{_PROGRAMS}:{rest}"
    told = {each for step in steps if isinstance(step, ListLibraries) for each in step.folders}
    folders = [each for each in _folders(lock, venv) if each not in told]
    return {**env, "PATH": path, **_variables(lock, version, folders)}


def _variables(lock: Lock, version: str, folders: Sequence[str]) -> dict[str, str]:
    held = lock.base.get("cuda")
    if held is not None:
        path = [*filter(None, held.get("library-path", "").split(":"))] or [*_DRIVER]
        return {"LD_LIBRARY_PATH": ":".join([*path, *folders])} if folders else {}
    return {
        "NVIDIA_VISIBLE_DEVICES": "all",
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
        "NVIDIA_REQUIRE_CUDA": f"cuda>={version.partition('.')[0]}.0",
        "LD_LIBRARY_PATH": ":".join([*_DRIVER, *folders]),
    }


def _folders(lock: Lock, venv: Venv) -> list[str]:
    """Where the wheels keep libraries: absolute, each once, sorted."""
    return sorted({*_by_wheel(lock, venv).values()})


def _by_wheel(lock: Lock, venv: Venv) -> dict[LockedWheel, str]:
    toolkit = next(
        (
            int(w.version.partition(".")[0])
            for w in lock.packages
            if w.name == "nvidia-cuda-runtime"
        ),
        max(cuda.majors()),
    )
    found = ((wheel, cuda.library_folder(wheel.name, toolkit)) for wheel in lock.packages)
    return {wheel: f"/{venv.site_packages}/{folder}" for wheel, folder in found if folder}
