# SPDX-License-Identifier: Apache-2.0
"""Building from Python: `imagekit.build(spec)` and `imagekit.plan(spec)`, in notebooks too.

A spec that is a value stands in no file, so its lock is kept in the current folder, as that of a
file `NAME.yaml` would be; see docs/decisions/0009-specs-without-files.md.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from imagekit.builders.build import build as build_image
from imagekit.builders.model import Built
from imagekit.builders.options import Options
from imagekit.builders.planned import Planned, plan_image
from imagekit.builders.runtime import runtime_pin
from imagekit.errors import LockError
from imagekit.interrupts import heard
from imagekit.lock.ensure import ensure_lock
from imagekit.lock.model import Lock
from imagekit.lock.refresh import refresh_lock
from imagekit.progress import Progress
from imagekit.progress.open import open_progress
from imagekit.spec.complete import completed
from imagekit.spec.load import check_spec, load_spec
from imagekit.spec.model import ImageSpec


def build(
    spec: ImageSpec | str | os.PathLike[str],
    *,
    at: str | os.PathLike[str] | None = None,
    to: Sequence[str] = (),
    push: bool = False,
    locked: bool = False,
) -> Built:
    """Build the image of `spec`, as `imagekit build` does.

    Args:
        spec: a value, or the path of a spec's file (`spec.yaml`, `spec.py:image`).
        at: for a value, the file that it would stand in: its paths are relative to that file's
            folder, and its lock lies beside it. The file need not exist.
        to: places beyond the local store, written as on the command line.
        push: push to the spec's registry.
        locked: refuse to resolve. Without it the lock of a value follows the value.

    Raises:
        ImagekitError: with `message` and `hint`, as the command line prints them.
    """
    found, path = _located(spec, at)
    with heard(), open_progress(sys.stderr, os.environ) as progress:
        locks = _locks(found, path, follow=isinstance(spec, ImageSpec), locked=locked, to=progress)
        options = Options(push=push, remember=not locked)
        return build_image(found, path, locks, to, progress, options)


def plan(
    spec: ImageSpec | str | os.PathLike[str],
    *,
    at: str | os.PathLike[str] | None = None,
    push_to: str | None = None,
    locked: bool = False,
) -> Planned:
    """Say what building `spec` will come to, as `imagekit plan` does.

    Args:
        spec: as for `build`.
        at: as for `build`.
        push_to: a registry that is asked what it has, `HOST/NAME[:TAG]`; `""` is the spec's own.
        locked: as for `build`.
    """
    found, path = _located(spec, at)
    with open_progress(sys.stderr, os.environ) as progress:
        locks = _locks(found, path, follow=isinstance(spec, ImageSpec), locked=locked, to=progress)
        return plan_image(found, path, locks, progress, push_to=push_to)


def _located(
    spec: ImageSpec | str | os.PathLike[str], at: str | os.PathLike[str] | None
) -> tuple[ImageSpec, Path]:
    if not isinstance(spec, ImageSpec):
        return load_spec(Path(spec)), Path(spec)
    path = Path(f"{spec.name.rpartition('/')[2]}.yaml" if at is None else at)
    check_spec(spec, path.parent)
    return completed(spec), path


def _locks(
    spec: ImageSpec, path: Path, *, follow: bool, locked: bool, to: Progress
) -> tuple[Lock, ...]:
    """The lock at hand; that of a value is made again when the value has changed."""
    runtime = runtime_pin()
    try:
        return ensure_lock(spec, path, locked=locked or follow, runtime=runtime, progress=to)
    except LockError:
        if locked or not follow:
            raise
    return refresh_lock(spec, path, upgrade=False, runtime=runtime, progress=to)
