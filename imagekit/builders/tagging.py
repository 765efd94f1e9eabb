# SPDX-License-Identifier: Apache-2.0
"""The tag of an image, without a look at its layers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from imagekit.builders.auto import settled
from imagekit.builders.naming import common_tag
from imagekit.builders.plans import plan_of
from imagekit.lock.model import Lock
from imagekit.spec.model import ImageSpec


def image_tag(spec: ImageSpec, spec_path: Path, locks: Sequence[Lock]) -> str:
    """A hash of all that enters the spec's image, on every platform, and of nothing else."""
    # The number of the base's layers decides how wheels are grouped, which is no part of the tag.
    spec = settled(spec, spec_path, locks)
    plans = [plan_of(spec, spec_path, lock, base_layers=0) for lock in locks]
    return common_tag(spec, [plan.identity for plan in plans])
