# SPDX-License-Identifier: Apache-2.0
"""The Dockerfiles that the docker and buildkit builders use, for people: nothing is built."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from imagekit.builders.frontend import SENT_BASE, prepare, registry_base
from imagekit.builders.model import BuildRequest
from imagekit.lock.model import Lock
from imagekit.planning.dockerfile import render_dockerfile
from imagekit.progress import Progress
from imagekit.spec.model import ImageSpec


def dockerfiles(
    spec: ImageSpec, spec_path: Path, locks: Sequence[Lock], progress: Progress
) -> dict[str, str]:
    """The text for each platform; values that no line can hold are build arguments of it.

    Nothing is downloaded or built.

    Raises BuildError for what a Dockerfile can't hold.
    """
    request = BuildRequest(
        spec, spec_path, locks, (), push=False, progress=progress, environ=os.environ
    )
    found = {}
    for lock in locks:
        prepared = prepare(request, lock)
        rendered = render_dockerfile(prepared.plan, registry_base(prepared) or SENT_BASE)
        found[lock.target.platform] = rendered.text
    return found
