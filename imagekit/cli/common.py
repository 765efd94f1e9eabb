# SPDX-License-Identifier: Apache-2.0
"""What several verbs share: how specs are built, how data and progress are shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from imagekit.builders.build import build
from imagekit.builders.model import Built
from imagekit.builders.options import Options
from imagekit.builders.runtime import runtime_pin
from imagekit.cli.options import (
    SPEC,
    allow_build_option,
    data_lines,
    locked_option,
    output_option,
    print_json,
    progress_option,
    shown_progress,
)
from imagekit.lock.ensure import ensure_lock
from imagekit.lock.model import Lock
from imagekit.progress import Progress
from imagekit.spec.load import load_spec
from imagekit.spec.model import ImageSpec

__all__ = [
    "SPEC",
    "allow_build_option",
    "build_spec",
    "data_lines",
    "lock_spec",
    "locked_option",
    "output_option",
    "print_json",
    "progress_option",
    "shown_progress",
]


def build_spec(
    path: Path,
    *,
    to: tuple[str, ...],
    locked: bool,
    progress: Progress,
    options: Options | None = None,
) -> Built:
    """Build the spec at `path`; make its lock first where there is none, unless `locked`."""
    chosen = replace(options or Options(), remember=not locked)
    spec = _spec(path, chosen)
    locks = _locks(spec, path, locked=locked, progress=progress, options=chosen)
    return build(spec, path, locks, to, progress, chosen)


def lock_spec(path: Path, *, progress: Progress, options: Options) -> tuple[Lock, ...]:
    """The lock of the spec at `path`, made where there is none."""
    return _locks(_spec(path, options), path, locked=False, progress=progress, options=options)


def _spec(path: Path, options: Options) -> ImageSpec:
    spec = load_spec(path)
    return replace(spec, allow_build=True) if options.allow_build else spec


def _locks(
    spec: ImageSpec, path: Path, *, locked: bool, progress: Progress, options: Options
) -> tuple[Lock, ...]:
    return ensure_lock(
        spec,
        path,
        locked=locked,
        runtime=runtime_pin(),
        progress=progress,
        answers=options.answers,
    )
