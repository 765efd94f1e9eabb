# SPDX-License-Identifier: Apache-2.0
"""The lock that belongs to a spec: read when it still does, made when it may be."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from imagekit.errors import LockError
from imagekit.lock import file, uv
from imagekit.lock.base import resolve_base
from imagekit.lock.model import Lock, LockedWheel, RuntimePin
from imagekit.lock.resolve import resolve_packages
from imagekit.progress import Progress
from imagekit.spec.digest import spec_digest
from imagekit.spec.model import ImageSpec


def ensure_lock(
    spec: ImageSpec,
    spec_path: Path,
    *,
    locked: bool,
    runtime: RuntimePin | None,
    progress: Progress,
    environ: Mapping[str, str] = os.environ,
) -> Lock:
    """The lock beside the spec; where none is yet, make and write it, unless `locked`.

    With a lock in place nothing is resolved: no program runs and no network is used.

    Raises:
        LockError: the lock is missing under `locked`, belongs to another state of the spec or of
            imagekit, or can't be made.
    """
    path = file.lock_path(spec_path)
    lock = file.read(path)
    if lock is None:
        if locked:
            raise LockError(f"there is no {path}", hint=_command(spec_path))
        return refresh_lock(
            spec, spec_path, upgrade=False, runtime=runtime, progress=progress, environ=environ
        )
    if lock.spec_digest != spec_digest(spec, spec_path.parent):
        raise LockError(f"{path} does not belong to {spec_path} any more", hint=_command(spec_path))
    expected = _runtime(lock.packages, runtime)
    if lock.runtime != expected:
        raise LockError(
            f"{path} pins the runtime {_shown(lock.runtime)}, and this imagekit carries "
            f"{_shown(expected)}",
            hint=f"{_command(spec_path)}, or use the imagekit that made it",
        )
    return lock


def refresh_lock(
    spec: ImageSpec,
    spec_path: Path,
    *,
    upgrade: bool,
    runtime: RuntimePin | None,
    progress: Progress,
    environ: Mapping[str, str] = os.environ,
) -> Lock:
    """Resolve `spec` and write the lock beside it.

    Versions in an existing lock are kept where they still fit, unless `upgrade`.

    Raises:
        LockError: the spec can't be resolved, or what stands there is not ours.
    """
    path = file.lock_path(spec_path)
    previous = file.read(path)
    digest = spec_digest(spec, spec_path.parent)
    task = progress.task(f"locking {spec_path}")
    base = resolve_base(spec, spec_path.parent, environ=environ, progress=progress)
    packages = resolve_packages(
        spec,
        spec_path.parent,
        base.target,
        preferences=() if previous is None or upgrade else previous.packages,
        environ=environ,
    )
    lock = Lock(
        spec_digest=digest,
        target=base.target,
        base=base.section,
        packages=packages,
        runtime=_runtime(packages, runtime),
        uv_version=uv.version(),
    )
    file.write(path, lock)
    task.done()
    return lock


def _runtime(packages: Sequence[LockedWheel], ours: RuntimePin | None) -> RuntimePin | None:
    """None where the packages hold imagekit itself, which brings the runtime along."""
    return None if any(wheel.name == "imagekit" for wheel in packages) else ours


def _command(spec_path: Path) -> str:
    return f"run `imagekit lock {spec_path}`"


def _shown(runtime: RuntimePin | None) -> str:
    return "nothing" if runtime is None else f"{runtime.version} ({runtime.sha256[:12]})"
