# SPDX-License-Identifier: Apache-2.0
"""What a plan says of layers for a platform that this machine does not run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from imagekit.builders.compiling import runs_here
from imagekit.builders.forecast import Forecast
from imagekit.builders.identity import is_native
from imagekit.errors import BuildError
from imagekit.lock.model import Lock
from imagekit.progress import Progress
from imagekit.spec.model import ImageSpec


def bytecode_told(
    found: Forecast,
    lock: Lock,
    locks: Sequence[Lock],
    spec: ImageSpec,
    path: Path,
    progress: Progress,
) -> str:
    """Who compiles for `lock` what is still to be built, or that nobody here can.

    Empty where the image's own interpreter does, and where nothing is compiled.
    """
    built = any(layer.here == "built" for layer in found.layers)
    if runs_here(found.platform) or not (built and found.record.bytecode and is_native(spec)):
        return ""
    # Most images are for this machine.
    from imagekit.builders.materials import interpreter_for  # noqa: PLC0415

    try:
        return interpreter_for(lock, locks, spec, path, progress).label
    except BuildError as error:
        return f"the build will stop: {error.message}; {error.hint}"
