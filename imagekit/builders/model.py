# SPDX-License-Identifier: Apache-2.0
"""What every builder is given, and what it gives back."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from imagekit.builders.naming import repository
from imagekit.builders.targets import Target
from imagekit.builders.wheels import Supply
from imagekit.lock.model import Lock, LockedWheel
from imagekit.oci.descriptor import Platform
from imagekit.oci.image import Image
from imagekit.oci.index import Named, images_of
from imagekit.progress import Progress
from imagekit.spec.addresses import addresses
from imagekit.spec.model import ImageSpec
from imagekit.spec.parent import lineage
from imagekit.values import frozen

if TYPE_CHECKING:
    from imagekit.lock.sources.builder import SourceBuilder


@frozen
class Built:
    """What a build came to.

    Attributes:
        reference: the repository, with the registry where the spec names one.
        digest: of the manifest, or of the index that names those of all platforms; empty where
            only an old engine has the image, which knows no such thing.
        image_id: what that engine calls it.
        read: gives the image itself, which may take long the first time.
    """

    reference: str
    tag: str
    digest: str
    read: Callable[[], Named] = field(repr=False)
    image_id: str = ""

    @property
    def named(self) -> Named:
        return self.read()

    @property
    def image(self) -> Image:
        """The image; of several platforms this machine's, or the first one."""
        images = images_of(self.named)
        here = Platform.of_this_machine()
        return next((each for each in images if each.platform.fits(here)), images[0])

    def __str__(self) -> str:
        """One line for people and scripts."""
        if self.digest:
            return f"{self.reference}@{self.digest}"
        return f"{self.reference}:{self.tag} (image ID {self.image_id})"


@frozen
class BuildRequest:
    """One spec to build.

    Attributes:
        locks: one per platform.
        to: where the image goes beyond where the builder leaves it.
        push: that its own registry, under its own tag, is one of these places.
        environ: the user's.
    """

    spec: ImageSpec
    spec_path: Path
    locks: Sequence[Lock]
    to: Sequence[Target]
    push: bool
    progress: Progress
    environ: Mapping[str, str] = field(repr=False)

    @property
    def reference(self) -> str:
        """The repository, with the registry where the spec names one."""
        return repository(self.spec)

    def supply(self, lock: Lock) -> Supply:
        """Where the wheels of one of the locks come from."""
        folder = self.spec_path.parent

        @functools.cache
        def builder() -> SourceBuilder:
            from imagekit.lock.sources.builder import SourceBuilder  # noqa: PLC0415 - most need none

            return SourceBuilder(self.spec, folder, self.progress, self.environ)

        def build(wheel: LockedWheel) -> Path:
            return builder().rebuild(wheel, lock.target)

        found = lineage(self.spec, self.spec_path)[::-1]
        urls = [url for each in found for url in addresses(each.spec, each.path.parent)]
        return Supply(urls, build)


class Builder(Protocol):
    """Turns a request into an image, and brings it where the request says."""

    def build(self, request: BuildRequest) -> Built: ...
