# SPDX-License-Identifier: Apache-2.0
"""Locks of specs that stand on other specs: what the parent's lock holds, the child's holds too.

An image stands on its parent's layers, so every wheel of the parent is in it, in that version; the
child's own requirements are resolved around them.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from imagekit.debian.apt.section import AptSet
from imagekit.debian.base import DebPackage
from imagekit.errors import LockError
from imagekit.lock.model import Lock
from imagekit.spec.foreign_locks import is_lock
from imagekit.spec.model import ImageSpec
from imagekit.spec.parent import Stood
from imagekit.spec.plain import normalised

BELOW = "below"
"""Of a lock's `apt`: names the parent's Debian packages, around which it was resolved."""


def lock_for(parent: Stood, locks: Sequence[Lock], platform: str) -> Lock:
    """The parent's lock for one platform.

    Raises:
        LockError: the parent is not for it.
    """
    for lock in locks:
        if lock.target.platform == platform:
            return lock
    raise LockError(
        f"base_image {parent.path} is not for {platform}", hint=f"add it to {parent.path}"
    )


def with_inherited(spec: ImageSpec, parent: Stood, lock: Lock) -> ImageSpec:
    """What has to be resolved for `spec`: its packages and each of its parent's, as it is there.

    The parent's indexes are asked too, after the spec's own.

    Raises:
        LockError: the two can't go together, and why.
    """
    _refuse_contradictions(spec, parent, lock)
    urls = _urls(parent)
    pins = [urls.get(wheel.name, f"{wheel.name}=={wheel.version}") for wheel in lock.packages]
    known = {*spec.pip_extra_index_url}
    further = [url for url in parent.spec.pip_extra_index_url if url not in known]
    return dataclasses.replace(
        spec,
        packages=[*spec.packages, *pins],
        runtime_packages=[*spec.runtime_packages, *parent.spec.runtime_packages],
        object_storage=False,  # the parent has it, or leaves it out
        pip_index=spec.pip_index or parent.spec.pip_index,
        pip_extra_index_url=[*spec.pip_extra_index_url, *further],
    )


def inheriting(lock: Lock, below: Lock) -> Lock:
    """`lock` with its parent's very wheels, and its Debian packages unless it has its own."""
    ours = {wheel.name: wheel for wheel in (*lock.packages, *below.packages)}
    packages = tuple(ours[name] for name in sorted(ours))
    apt = below.apt if lock.apt is None else {**lock.apt, BELOW: _name_of(below.apt)}
    return dataclasses.replace(lock, packages=packages, apt=apt)


def debs_of(lock: Lock) -> tuple[DebPackage, ...]:
    """The Debian packages that a lock adds to its base."""
    return () if lock.apt is None else AptSet.from_dict(lock.apt).packages


def _name_of(apt: Mapping[str, Any] | None) -> str:
    """Tells one set of Debian packages from another."""
    debs = () if apt is None else AptSet.from_dict(apt).packages
    return hashlib.sha256("".join(each.sha256 for each in debs).encode()).hexdigest()


def check_inherited(
    path: Path, locks: Sequence[Lock], parent: Stood, parents: Sequence[Lock], hint: str
) -> None:
    """Compare the lock at `path` with that of the spec's parent.

    Raises:
        LockError: the parent's is another one than it was made for.
    """
    for lock in locks:
        below = lock_for(parent, parents, lock.target.platform)
        same = (lock.base, lock.target) == (below.base, below.target) and _has_debs(lock, below)
        if not same or not {*_files(below)} <= {*_files(lock)}:
            raise LockError(f"{path} was made for another lock of {parent.path}", hint=hint)


def _has_debs(lock: Lock, below: Lock) -> bool:
    if lock.apt is not None and BELOW in lock.apt:
        return bool(lock.apt[BELOW] == _name_of(below.apt))
    return lock.apt == below.apt


def _files(lock: Lock) -> Sequence[tuple[str, str]]:
    return [(wheel.filename, wheel.sha256) for wheel in lock.packages]


def _refuse_contradictions(spec: ImageSpec, parent: Stood, lock: Lock) -> None:
    python = ".".join(map(str, lock.target.python_minor))
    if spec.python_version not in (None, python):
        raise LockError(
            f"python_version {spec.python_version}: the base {parent.path} has {python}",
            hint="leave python_version out",
        )
    if spec.python_exec not in (None, lock.target.python_path):
        raise LockError(
            f"python_exec {spec.python_exec}: the base {parent.path} has {lock.target.python_path}",
            hint="leave python_exec out",
        )
    built = [wheel.name for wheel in lock.packages if wheel.built is not None]
    if built:
        raise LockError(
            f"base_image {parent.path} has {', '.join(built)} built from source, and nothing can "
            "be resolved around that",
            hint="name a wheel there, or name the base's image",
        )
    if spec.requirements is not None and is_lock(Path(spec.requirements).name):
        raise LockError(
            f"requirements {spec.requirements} on a base that is a spec",
            hint="a lock knows nothing of the base's packages: name it there",
        )


def _urls(parent: Stood) -> Mapping[str, str]:
    """The parent's requirements by URL, which no index knows by their versions."""
    from imagekit.spec.requirement import parse  # noqa: PLC0415 - it brings a parser

    found = [parse(text) for text in parent.spec.packages if "://" in text]
    return {normalised(each.name): str(each) for each in found}
