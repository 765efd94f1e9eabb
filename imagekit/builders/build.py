# SPDX-License-Identifier: Apache-2.0
"""From a spec and its locks to an image in its places."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from imagekit.builders.model import BuildRequest, Built
from imagekit.builders.options import Options
from imagekit.builders.table import find_builder
from imagekit.builders.targets import parse_target
from imagekit.errors import BuildError
from imagekit.lock.model import Lock
from imagekit.progress import Progress
from imagekit.spec.builder_rules import AUTO
from imagekit.spec.model import ImageSpec


def build(
    spec: ImageSpec,
    spec_path: Path,
    locks: Sequence[Lock],
    to: Sequence[str],
    progress: Progress,
    options: Options | None = None,
) -> Built:
    """Build `spec` from its locks, and bring the result to each of `to`, or to the local store.

    Of several platforms there is one lock each, and the result is an index. Layers that go to a
    registry which has them are not brought here: they can't be opened in what is returned.
    """
    chosen = options or Options()
    if spec.builder == AUTO:
        from imagekit.builders.auto import settled  # noqa: PLC0415 - forecasts what has to be run

        spec = settled(spec, spec_path, locks, os.environ, progress)
    targets = [parse_target(text) for text in to]
    if chosen.push and spec.registry is None:
        raise BuildError("the spec names no registry to push to", hint="add `registry: HOST/TEAM`")
    request = BuildRequest(spec, spec_path, locks, targets, chosen.push, progress, os.environ)
    other = find_builder(request)
    if other is None:
        from imagekit.builders.native_build import build_natively  # noqa: PLC0415 - makes layers

        return build_natively(request, chosen)
    if chosen.platform:
        raise BuildError(f"the builder {spec.builder} builds all platforms at once")
    if request.push and not request.to and not chosen.force:
        from imagekit.builders.present import present_image  # noqa: PLC0415 - asks a registry

        there = present_image(request)
        if there is not None:
            return there
    return other.build(request)
