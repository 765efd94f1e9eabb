# SPDX-License-Identifier: Apache-2.0
"""The lock that belongs to a spec: read when it still does, made when it may be."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from imagekit.answers import Answers
from imagekit.errors import BuildError, LockError
from imagekit.lock import file
from imagekit.lock.inherit import check_inherited
from imagekit.lock.model import KnownLayer, Lock, RuntimePin
from imagekit.progress import Progress
from imagekit.spec.digest import spec_digest
from imagekit.spec.model import ImageSpec
from imagekit.spec.parent import lineage, parent_of


def ensure_lock(
    spec: ImageSpec,
    spec_path: Path,
    *,
    locked: bool,
    runtime: RuntimePin | None,
    progress: Progress,
    environ: Mapping[str, str] = os.environ,
    answers: Answers | None = None,
) -> tuple[Lock, ...]:
    """The lock beside the spec, by platform; where none is yet, make and write it unless `locked`.

    With a lock in place nothing is resolved: no program runs and no network is used. `answers` keep
    what several specs ask alike.

    Raises:
        LockError: the lock is missing under `locked`, belongs to another state of the spec or of
            imagekit, or can't be made.
    """
    lineage(spec, spec_path)  # none stands on itself
    locks = file.read(path := file.lock_path(spec_path))
    if locks is None:
        if locked:
            raise LockError(f"there is no {path}", hint=_command(spec_path))
        # With a lock in place nothing of the resolver is loaded.
        from imagekit.lock.refresh import refresh_lock  # noqa: PLC0415

        return refresh_lock(
            spec,
            spec_path,
            upgrade=False,
            runtime=runtime,
            progress=progress,
            environ=environ,
            answers=answers,
        )
    _check_current(spec, spec_path, path, locks, runtime)
    parent = parent_of(spec, spec_path.parent)
    if parent is not None:
        below = ensure_lock(
            parent.spec,
            parent.path,
            locked=locked,
            runtime=runtime,
            progress=progress,
            environ=environ,
            answers=answers,
        )
        check_inherited(path, locks, parent, below, _command(spec_path))
    return locks


def _check_current(
    spec: ImageSpec,
    spec_path: Path,
    path: Path,
    locks: Sequence[Lock],
    runtime: RuntimePin | None,
) -> None:
    if locks[0].spec_digest != spec_digest(spec, spec_path.parent):
        raise LockError(f"{path} does not belong to {spec_path} any more", hint=_command(spec_path))
    expected = runtime_of(locks, runtime)
    if locks[0].runtime != expected:
        raise LockError(
            f"{path} pins the runtime {_shown(locks[0].runtime)}, and this imagekit carries "
            f"{_shown(expected)}",
            hint=f"{_command(spec_path)}, or use the imagekit that made it",
        )


def remember_layers(
    spec_path: Path, locks: Sequence[Lock], layers: Sequence[tuple[KnownLayer, ...]]
) -> None:
    """Leave what a build came to in the lock, per platform, where that is news.

    Where the lock can't be written, or is another one by now, it stays as it is.
    """
    pairs = zip(locks, layers, strict=True)
    told = tuple(dataclasses.replace(lock, layers=found) for lock, found in pairs)
    path = file.lock_path(spec_path)
    if told != tuple(locks) and file.read(path) in (None, tuple(locks)):
        with contextlib.suppress(OSError, BuildError):
            file.write(path, told)


def runtime_of(locks: Sequence[Lock], ours: RuntimePin | None) -> RuntimePin | None:
    """None where the packages hold imagekit itself, which brings the runtime along."""
    names = {wheel.name for lock in locks for wheel in lock.packages}
    return None if "imagekit" in names else ours


def _command(spec_path: Path) -> str:
    return f"run `imagekit lock {spec_path}`"


def _shown(runtime: RuntimePin | None) -> str:
    return "nothing" if runtime is None else f"{runtime.version} ({runtime.sha256[:12]})"
