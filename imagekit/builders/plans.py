# SPDX-License-Identifier: Apache-2.0
"""The plan of a spec with that of each spec that it stands on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from imagekit.builders.identity import identity
from imagekit.errors import LockError
from imagekit.lock.file import lock_path, own_files, read
from imagekit.lock.inherit import lock_for
from imagekit.lock.model import Lock
from imagekit.planning.planner import Below, Files, Plan, make_plan
from imagekit.spec.loaded import loaded_files
from imagekit.spec.model import ImageSpec
from imagekit.spec.parent import Stood, parent_of
from imagekit.spec.secret_files import mounted


def plan_of(
    spec: ImageSpec,
    path: Path,
    lock: Lock,
    *,
    base_layers: int,
    made_by: Mapping[str, str] | None = None,
) -> Plan:
    """The plan of the spec at `path`, from its lock and those of the specs below it.

    `made_by` is the builder, by default the one that the spec names.

    Raises:
        LockError: a spec below it has no lock.
        BuildError: its files can't be read.
    """
    parent = parent_of(spec, path.parent)
    return make_plan(
        spec,
        Files(path.parent, own_files(path), loaded_files(spec, path), mounted(spec, path.parent)),
        lock,
        base_layers=base_layers,
        made_by=identity(spec, lock) if made_by is None else made_by,
        below=None if parent is None else _below(parent, lock.target.platform, base_layers),
    )


def _below(parent: Stood, platform: str, base_layers: int) -> Below:
    locks = read(lock_path(parent.path))
    if locks is None:
        raise LockError(
            f"there is no {lock_path(parent.path)}", hint=f"run `imagekit lock {parent.path}`"
        )
    lock = lock_for(parent, locks, platform)
    plan = plan_of(parent.spec, parent.path, lock, base_layers=base_layers)
    return Below(parent.spec.name, plan, frozenset(wheel.name for wheel in lock.packages))
