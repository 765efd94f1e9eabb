# SPDX-License-Identifier: Apache-2.0
"""Makes the lock of a spec: resolves it for each of its platforms."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from imagekit.answers import Answers
from imagekit.debian.apt.resolve import AptBase, resolve_apt
from imagekit.debian.apt.select import UnknownPackagesError
from imagekit.errors import LockError
from imagekit.lock import cuda, file, uv
from imagekit.lock.base import apt_mirrors, locked_apt_base, resolve_base
from imagekit.lock.ensure import ensure_lock, runtime_of
from imagekit.lock.inherit import debs_of, inheriting, lock_for, with_inherited
from imagekit.lock.model import Lock, LockedWheel, RuntimePin, Target
from imagekit.lock.resolve import Terms, resolve_at_start, resolve_packages
from imagekit.lock.sources.builder import SourceBuilder
from imagekit.progress import Progress
from imagekit.spec.digest import spec_digest
from imagekit.spec.finding import Finding
from imagekit.spec.load import found_later
from imagekit.spec.model import ImageSpec
from imagekit.spec.parent import Stood, lineage, parent_of
from imagekit.values import frozen


def refresh_lock(
    spec: ImageSpec,
    spec_path: Path,
    *,
    upgrade: bool,
    runtime: RuntimePin | None,
    progress: Progress,
    environ: Mapping[str, str] = os.environ,
    answers: Answers | None = None,
) -> tuple[Lock, ...]:
    """Resolve `spec` for each of its platforms, and write the lock beside it.

    Versions in an existing lock are kept where they still fit, unless `upgrade`. `answers` keep
    what several specs ask alike.

    Raises:
        LockError: it can't be resolved, requires its own lock, or what stands there is not ours.
        SpecError: it names Debian packages that there are not.
    """
    path = file.lock_path(spec_path)
    _refuse_itself(spec, spec_path, path)
    previous = file.read(path) or ()
    kept = () if upgrade else tuple(wheel for lock in previous for wheel in lock.packages)
    lineage(spec, spec_path)  # none stands on itself
    digest = spec_digest(spec, spec_path.parent)
    sources = SourceBuilder(spec, spec_path.parent, progress, environ)
    answers = answers or Answers()
    asked = _Asked(spec, spec_path, digest, sources, environ, progress, answers)
    parent = parent_of(spec, spec_path.parent)
    below = () if parent is None else _locks_of(parent, runtime, progress, environ, answers)
    task = progress.task(f"locking {spec_path}")
    locks: list[Lock] = []
    for platform in spec.platforms:
        # What one platform took, the next one takes too where it can.
        known = {wheel.name: wheel for wheel in kept}
        known.update((wheel.name, wheel) for lock in locks for wheel in lock.packages)
        preferences = tuple(known.values())
        if parent is None:
            locks.append(_on_image(asked, platform, preferences))
        else:
            locks.append(_on_spec(asked, parent, lock_for(parent, below, platform), preferences))
    locks = [dataclasses.replace(lock, runtime=runtime_of(locks, runtime)) for lock in locks]
    _check_same_python(locks)
    built = {} if upgrade else {lock.target.platform: lock.layers for lock in previous}
    locks = [
        dataclasses.replace(lock, layers=built.get(lock.target.platform, ())) for lock in locks
    ]
    file.write(path, locks)
    task.done()
    return tuple(locks)


def _refuse_itself(spec: ImageSpec, spec_path: Path, lock: Path) -> None:
    if spec.requirements and (spec_path.parent / spec.requirements).absolute() == lock.absolute():
        raise LockError(
            f"requirements: {spec.requirements} is the lock of {spec_path} itself",
            hint="name the file that it was made from, or the lock of another tool",
        )


@frozen
class _Asked:
    """What has to be locked; `digest` is the spec's."""

    spec: ImageSpec
    path: Path
    digest: str
    sources: SourceBuilder
    environ: Mapping[str, str] = field(repr=False)
    progress: Progress
    answers: Answers

    def packages(
        self,
        spec: ImageSpec,
        target: Target,
        base: Mapping[str, Any],
        preferences: Sequence[LockedWheel],
    ) -> tuple[LockedWheel, ...]:
        """One wheel for each package of `spec` on a base of that section, with its CUDA."""
        choice = cuda.choose(spec, base)
        try:
            packages = resolve_packages(
                dataclasses.replace(spec, packages=[*spec.packages, *choice.packages]),
                self.path.parent,
                target,
                preferences=preferences,
                sources=self.sources,
                environ=self.environ,
                terms=Terms(choice.constraints, self.answers),
            )
        except LockError as error:
            if spec.cuda is not None and "nvidia" in error.message:
                raise LockError(error.message, hint=cuda.hint_for(spec.cuda)) from error
            raise
        cuda.check(spec, base, packages)
        told = cuda.tell(spec, base, packages)
        for warning in () if told is None else told.warnings:
            self.progress.task(f"warning: {warning}").done()
        return packages

    def at_start(
        self, spec: ImageSpec, target: Target, image: Sequence[LockedWheel]
    ) -> tuple[str, ...]:
        return resolve_at_start(
            spec,
            self.path.parent,
            target,
            image=image,
            sources=self.sources,
            environ=self.environ,
            answers=self.answers,
        )


def _on_image(asked: _Asked, platform: str, preferences: Sequence[LockedWheel]) -> Lock:
    spec, environ, progress = asked.spec, asked.environ, asked.progress
    base = resolve_base(
        spec,
        asked.path.parent,
        platform,
        environ=environ,
        progress=progress,
        answers=asked.answers,
    )
    packages = asked.packages(spec, base.target, base.section, preferences)
    apt = _apt(asked, spec, platform, base.apt) if spec.apt_packages else None
    made = Lock(asked.digest, base.target, base.section, packages, None, uv.version(), apt)
    return dataclasses.replace(made, at_start=asked.at_start(spec, base.target, packages))


def _on_spec(asked: _Asked, parent: Stood, below: Lock, preferences: Sequence[LockedWheel]) -> Lock:
    """Around what the parent's lock holds: its base, its wheels, its Debian packages."""
    wanted = with_inherited(asked.spec, parent, below)
    packages = asked.packages(wanted, below.target, below.base, preferences)
    made = Lock(asked.digest, below.target, below.base, packages, None, uv.version())
    if asked.spec.apt_packages:
        first = lineage(asked.spec, asked.path)[0]
        base = locked_apt_base(below, first.path.parent, asked.progress)
        base = dataclasses.replace(base, below=debs_of(below))
        apt = _apt(asked, first.spec, below.target.platform, base)
        made = dataclasses.replace(made, apt=apt)
    whole = inheriting(made, below)
    return dataclasses.replace(whole, at_start=asked.at_start(wanted, below.target, whole.packages))


def _apt(asked: _Asked, first: ImageSpec, platform: str, base: AptBase) -> Mapping[str, Any]:
    """`first` is the spec of the base; its options name mirrors too."""
    options = {**first.builder_options, **asked.spec.builder_options}
    mirrors = apt_mirrors(options, asked.environ, base)
    wanted = asked.spec.apt_packages
    try:
        found = resolve_apt(wanted, base, platform, mirrors, asked.progress, asked.answers)
    except UnknownPackagesError as error:
        findings = [
            Finding("apt_packages", f"apt_packages: {each.message}", each.hint, each.item)
            for each in error.unknown
        ]
        raise found_later(asked.path, findings) from error
    return found.to_dict()


def _locks_of(
    parent: Stood,
    runtime: RuntimePin | None,
    progress: Progress,
    environ: Mapping[str, str],
    answers: Answers,
) -> tuple[Lock, ...]:
    """The parent's own locks; that of a value follows the value, as nobody else could make it."""
    spec, path = parent.spec, parent.path
    follows = not path.exists()
    try:
        return ensure_lock(
            spec,
            path,
            locked=False,
            runtime=runtime,
            progress=progress,
            environ=environ,
            answers=answers,
        )
    except LockError:
        if not follows:
            raise
    return refresh_lock(
        spec,
        path,
        upgrade=False,
        runtime=runtime,
        progress=progress,
        environ=environ,
        answers=answers,
    )


def _check_same_python(locks: Sequence[Lock]) -> None:
    if len({lock.target.python_minor for lock in locks}) > 1:
        found = ", ".join(f"{x.target.platform}: {x.target.python_version}" for x in locks)
        raise LockError(
            f"the base has another Python on each platform ({found})",
            hint="name one that all have as python_version",
        )
