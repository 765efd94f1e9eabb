# SPDX-License-Identifier: Apache-2.0
"""The tag of an image, without a look at its layers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from imagekit.builders.identity import identity
from imagekit.builders.naming import common_tag
from imagekit.lock.file import own_files
from imagekit.lock.model import Lock
from imagekit.planning.planner import make_plan
from imagekit.spec.loaded import loaded_files
from imagekit.spec.model import ImageSpec


def image_tag(spec: ImageSpec, spec_path: Path, locks: Sequence[Lock]) -> str:
    """A hash of all that enters the spec's image, on every platform, and of nothing else."""
    plans = [
        make_plan(
            spec,
            spec_path.parent,
            lock,
            base_layers=0,  # decides how wheels are grouped, which is no part of the tag
            leave_out=own_files(spec_path),
            only=loaded_files(spec, spec_path),
            made_by=identity(spec, lock),
        )
        for lock in locks
    ]
    return common_tag([plan.tag for plan in plans])
