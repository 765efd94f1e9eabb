# SPDX-License-Identifier: Apache-2.0
"""What the resolver is given instead of source: the wheels that were built of it."""

from __future__ import annotations

from pathlib import Path
from typing import final

from imagekit.errors import LockError
from imagekit.fetch import fetch
from imagekit.files import link_or_copy
from imagekit.lock.model import LockedWheel, Target
from imagekit.lock.sources.builder import SourceBuilder
from imagekit.lock.sources.rewritten import rewritten
from imagekit.spec.requirement import UnusableRequirementError
from imagekit.spec.requirements_file import read
from imagekit.spec.source import Source, find_source


@final
class Substitutes:
    """Of one resolution; `folder` holds the wheels under their names while it lasts."""

    def __init__(self, builder: SourceBuilder, target: Target, folder: Path) -> None:
        self._builder = builder
        self._target = target
        self._folder = folder
        self._wheels: dict[str, LockedWheel] = {}

    def requirement(self, text: str) -> str:
        """`text`, or where it names source the requirement of its wheel.

        Raises what `SourceBuilder.lock` raises.
        """
        try:
            source = find_source(text)
        except UnusableRequirementError as error:  # of a lock that another tool made
            raise LockError(error.message, hint=error.hint) from error
        return text if source is None else self._wheel_of(source)

    def file(self, first: Path) -> Path:
        """The requirements.txt to resolve instead of `first`."""
        return rewritten(read(first), first, self._wheel_of, self._folder)

    def find(self, sha256: str) -> LockedWheel | None:
        """The wheel of that digest, if it was built for this resolution."""
        return self._wheels.get(sha256)

    def _wheel_of(self, source: Source) -> str:
        wheel = self._builder.lock(source, self._target)
        self._wheels[wheel.sha256] = wheel
        place = self._folder / wheel.sha256[:16] / wheel.filename
        place.parent.mkdir(exist_ok=True)
        cached = fetch([], sha256=wheel.sha256, size_bytes=None, name=wheel.filename)
        link_or_copy(cached, place)
        return source.wheel_requirement(wheel.name, place.as_uri())
