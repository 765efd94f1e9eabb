# SPDX-License-Identifier: Apache-2.0
"""Makes the lock of a spec: resolves it for each of its platforms."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from imagekit.debian.apt.resolve import resolve_apt
from imagekit.debian.apt.select import UnknownPackagesError
from imagekit.errors import LockError
from imagekit.lock import file, uv
from imagekit.lock.base import Base, debian_mirrors, resolve_base
from imagekit.lock.ensure import runtime_of
from imagekit.lock.model import Lock, RuntimePin
from imagekit.lock.resolve import resolve_packages
from imagekit.lock.sources.builder import SourceBuilder
from imagekit.progress import Progress
from imagekit.spec.digest import spec_digest
from imagekit.spec.load import found_later
from imagekit.spec.model import ImageSpec
from imagekit.spec.rules import Finding


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
        SpecError: it names Debian packages that there are not.
    """
    path = file.lock_path(spec_path)
    previous = file.read(path) or ()
    kept = () if upgrade else tuple(wheel for lock in previous for wheel in lock.packages)
    digest = spec_digest(spec, spec_path.parent)
    task = progress.task(f"locking {spec_path}")
    sources = SourceBuilder(spec, spec_path.parent, progress, environ)
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
            sources=sources,
            environ=environ,
        )
        apt = _apt(spec, spec_path, base, environ, progress) if spec.apt_packages else None
        locks.append(Lock(digest, base.target, base.section, packages, runtime, uv.version(), apt))
    locks = [dataclasses.replace(lock, runtime=runtime_of(locks, runtime)) for lock in locks]
    _check_same_python(locks)
    built = {} if upgrade else {lock.target.platform: lock.layers for lock in previous}
    locks = [
        dataclasses.replace(lock, layers=built.get(lock.target.platform, ())) for lock in locks
    ]
    file.write(path, locks)
    task.done()
    return tuple(locks)


def _apt(
    spec: ImageSpec,
    spec_path: Path,
    base: Base,
    environ: Mapping[str, str],
    progress: Progress,
) -> Mapping[str, Any]:
    mirrors = debian_mirrors(spec, environ)
    platform = base.target.platform
    try:
        found = resolve_apt(spec.apt_packages, base.apt, platform, mirrors, progress)
    except UnknownPackagesError as error:
        findings = [
            Finding("apt_packages", f"apt_packages: {each.message}", each.hint, each.item)
            for each in error.unknown
        ]
        raise found_later(spec_path, findings) from error
    return found.to_dict()


def _check_same_python(locks: Sequence[Lock]) -> None:
    if len({lock.target.python_minor for lock in locks}) > 1:
        found = ", ".join(f"{x.target.platform}: {x.target.python_version}" for x in locks)
        raise LockError(
            f"the base has another Python on each platform ({found})",
            hint="name one that all have as python_version",
        )
