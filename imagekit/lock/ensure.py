# SPDX-License-Identifier: Apache-2.0
"""The lock that belongs to a spec: read when it still does, made when it may be."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from imagekit.errors import LockError
from imagekit.lock import file, uv
from imagekit.lock.base import resolve_base
from imagekit.lock.model import Lock, RuntimePin
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
) -> tuple[Lock, ...]:
    """The lock beside the spec, by platform; where none is yet, make and write it unless `locked`.

    With a lock in place nothing is resolved: no program runs and no network is used.

    Raises:
        LockError: the lock is missing under `locked`, belongs to another state of the spec or of
            imagekit, or can't be made.
    """
    path = file.lock_path(spec_path)
    locks = file.read(path)
    if locks is None:
        if locked:
            raise LockError(f"there is no {path}", hint=_command(spec_path))
        return refresh_lock(
            spec, spec_path, upgrade=False, runtime=runtime, progress=progress, environ=environ
        )
    if locks[0].spec_digest != spec_digest(spec, spec_path.parent):
        raise LockError(f"{path} does not belong to {spec_path} any more", hint=_command(spec_path))
    expected = _runtime(locks, runtime)
    if locks[0].runtime != expected:
        raise LockError(
            f"{path} pins the runtime {_shown(locks[0].runtime)}, and this imagekit carries "
            f"{_shown(expected)}",
            hint=f"{_command(spec_path)}, or use the imagekit that made it",
        )
    return locks


def refresh_lock(
    spec: ImageSpec,
    spec_path: Path,
    *,
    upgrade: bool,
    runtime: RuntimePin | None,
    progress: Progress,
    environ: Mapping[str, str] = os.environ,
) -> tuple[Lock, ...]:
    """Resolve `spec` for each of its platforms, and write the lock beside it.

    Versions in an existing lock are kept where they still fit, unless `upgrade`.

    Raises:
        LockError: the spec can't be resolved, or what stands there is not ours.
    """
    if spec.apt_packages:
        raise LockError("apt_packages can't be resolved yet")
    path = file.lock_path(spec_path)
    previous = file.read(path) or ()
    kept = () if upgrade else tuple(wheel for lock in previous for wheel in lock.packages)
    digest = spec_digest(spec, spec_path.parent)
    task = progress.task(f"locking {spec_path}")
    locks: list[Lock] = []
    for platform in spec.platforms:
        base = resolve_base(spec, spec_path.parent, platform, environ=environ, progress=progress)
        # What one platform took, the next one takes too where it can.
        known = {wheel.name: wheel for wheel in kept}
        known.update((wheel.name, wheel) for lock in locks for wheel in lock.packages)
        packages = resolve_packages(
            spec,
            spec_path.parent,
            base.target,
            preferences=tuple(known.values()),
            environ=environ,
        )
        locks.append(Lock(digest, base.target, base.section, packages, runtime, uv.version()))
    locks = [dataclasses.replace(lock, runtime=_runtime(locks, runtime)) for lock in locks]
    _check_same_python(locks)
    file.write(path, locks)
    task.done()
    return tuple(locks)


def _check_same_python(locks: Sequence[Lock]) -> None:
    if len({lock.target.python_minor for lock in locks}) > 1:
        found = ", ".join(f"{x.target.platform}: {x.target.python_version}" for x in locks)
        raise LockError(
            f"the base has another Python on each platform ({found})",
            hint="name one that all have as python_version",
        )


def _runtime(locks: Sequence[Lock], ours: RuntimePin | None) -> RuntimePin | None:
    """None where the packages hold imagekit itself, which brings the runtime along."""
    names = {wheel.name for lock in locks for wheel in lock.packages}
    return None if "imagekit" in names else ours


def _command(spec_path: Path) -> str:
    return f"run `imagekit lock {spec_path}`"


def _shown(runtime: RuntimePin | None) -> str:
    return "nothing" if runtime is None else f"{runtime.version} ({runtime.sha256[:12]})"
