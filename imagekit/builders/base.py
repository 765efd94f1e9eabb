# SPDX-License-Identifier: Apache-2.0
"""The base of an image as the native builder sees it: its layers, and its interpreter on disk."""

from __future__ import annotations

import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from imagekit.builders.compiling import interpreter_name
from imagekit.builders.layerings import Layering, Sources
from imagekit.debian.base import DebianBase
from imagekit.debian.recipe import recipe
from imagekit.layers.formats import BYTECODE
from imagekit.lock.model import Lock
from imagekit.oci.image import Image
from imagekit.paths import cache_directory
from imagekit.progress import Progress
from imagekit.spec.model import ImageSpec
from imagekit.spec.parent import lineage

if TYPE_CHECKING:
    from imagekit.builders.apt import AptContext
    from imagekit.builders.debian_root import DebianRoot
    from imagekit.debian.apt.root import BaseRoot
    from imagekit.layers.writer import LayerWriter
    from imagekit.planning.steps import ListLibraries


class Base(Protocol):
    """What an image starts from."""

    @property
    def image(self) -> Image | None:
        """The base as an image, where it is one already."""

    @property
    def layer_count(self) -> int: ...

    @property
    def interpreter(self) -> str:
        """Names the interpreter in recipes: bases with the same one share layers."""

    def layerings(self, *, bytecode: bool) -> Sequence[Layering]:
        """The layers of a base that is made here."""

    def packages(self, section: Mapping[str, object]) -> Sequence[Layering]:
        """The layers of Debian packages over it: of the lock's section `apt`."""

    def libraries(self, step: ListLibraries) -> Layering:
        """The layer that tells its loader of libraries."""

    def apt_sources(self) -> Mapping[str, str]:
        """Its own apt sources by path; none where it has no apt. May take long."""

    def root(self) -> Path:
        """The base unpacked, so that its interpreter can be run. May take long."""

    def interpreter_root(self, python: str) -> Path:
        """As much of that as the interpreter at `python` needs to compile, or all of it."""

    def unpacked(self) -> Path | None:
        """What `root` gives, where it lies on this machine already."""


def open_base(spec: ImageSpec, path: Path, lock: Lock, progress: Progress) -> Base:
    """The base that `lock` pins; nothing is downloaded or unpacked yet.

    Of specs that stand on each other it is that of the first, whose folder counts; mirrors are
    named by the options of both.
    """
    first = lineage(spec, path)[0]
    options = {**first.spec.builder_options, **spec.builder_options}
    if lock.base["kind"] == "debian":
        return _DebianBase(options, lock, progress)
    return _ImageBase(options, first.path.parent, lock, progress)


class _BelowPackages(ABC):
    """What Debian packages, and what the loader is told of libraries, lie on."""

    def packages(self, section: Mapping[str, object]) -> Sequence[Layering]:
        from imagekit.builders.apt import apt_layerings  # noqa: PLC0415 - few have any

        return apt_layerings(section, self._context())

    def libraries(self, step: ListLibraries) -> Layering:
        from imagekit.builders.libraries import libraries_layering  # noqa: PLC0415 - few have any

        return libraries_layering(step, self._context())

    @abstractmethod
    def _context(self) -> AptContext: ...


class _DebianBase(_BelowPackages):
    image = None
    layer_count = 1

    def __init__(self, options: Mapping[str, str], lock: Lock, progress: Progress) -> None:
        self.interpreter = interpreter_name(lock.base, "")
        self._options = options
        self._base = DebianBase.from_dict(lock.base)
        self._progress = progress
        self._made: DebianRoot | None = None
        self._guard = threading.Lock()

    def layerings(self, *, bytecode: bool) -> Sequence[Layering]:
        compiled = f"{BYTECODE} {self.interpreter}" if bytecode else "none"

        def write(writer: LayerWriter, sources: Sources) -> None:
            self._maker().write(writer, sources.compiler() if bytecode else None)

        return [
            Layering(
                f"{recipe(self._base)} bytecode {compiled}",
                f"imagekit: Debian {self._base.release}",
                write,
                from_bytes=sum(package.size_bytes for package in self._base.packages),
            )
        ]

    def _context(self) -> AptContext:
        from imagekit.builders.apt import AptContext  # noqa: PLC0415 - as above

        return AptContext(
            base=recipe(self._base),
            root=self._base_root,
            options=self._options,
            progress=self._progress,
            sources=self.apt_sources,
            embedded=True,
        )

    def apt_sources(self) -> Mapping[str, str]:
        return {}

    def root(self) -> Path:
        return self._maker().tree().root

    def interpreter_root(self, python: str) -> Path:
        del python  # all of it lies here anyway, as its layer is made from it
        return self.root()

    def unpacked(self) -> Path | None:
        from imagekit.debian.store import cached_root  # noqa: PLC0415 - most plans know all layers

        return cached_root(self._base)

    def _base_root(self) -> BaseRoot:
        from imagekit.debian.apt.root import BaseRoot  # noqa: PLC0415 - plans unpack nothing
        from imagekit.debian.releases import content  # noqa: PLC0415

        return BaseRoot(self._maker().tree(), content())

    def _maker(self) -> DebianRoot:
        with self._guard:
            if self._made is None:
                # Plans look a base's layer up, and do without what makes it.
                from imagekit.builders.debian_root import DebianRoot  # noqa: PLC0415

                self._made = DebianRoot(self._base, self._options, self._progress)
            return self._made


class _ImageBase(_BelowPackages):
    def __init__(
        self, options: Mapping[str, str], folder: Path, lock: Lock, progress: Progress
    ) -> None:
        from imagekit.lock.oci_base import open_locked  # noqa: PLC0415 - registries and layouts

        self._options = options
        self._progress = progress
        self.image = open_locked(lock.base, folder, lock.target.platform, progress)
        self.layer_count = len(self.image.layers)
        self._identity = str(lock.base.get("interpreter", ""))
        self.interpreter = self._identity or self.image.digest

    def layerings(self, *, bytecode: bool) -> Sequence[Layering]:
        del bytecode
        return []

    def _context(self) -> AptContext:
        from imagekit.builders.apt import AptContext  # noqa: PLC0415 - as above

        return AptContext(
            base=self.image.digest,
            root=self._base_root,
            options=self._options,
            progress=self._progress,
            sources=self.apt_sources,
            embedded=False,
        )

    def apt_sources(self) -> Mapping[str, str]:
        from imagekit.debian.sources import APT_SOURCES  # noqa: PLC0415 - plans download nothing

        root = self._base_root()
        return {
            path: root.text(path) for path in root.tree.nodes if re.fullmatch(APT_SOURCES, path)
        }

    def _base_root(self) -> BaseRoot:
        from imagekit.builders.image_tree import image_tree  # noqa: PLC0415 - plans unpack nothing
        from imagekit.debian.apt.root import BaseRoot  # noqa: PLC0415

        return BaseRoot(image_tree(self.image.layers, self.root()), None)

    def root(self) -> Path:
        from imagekit.oci.unpack import cached_root  # noqa: PLC0415 - plans unpack nothing

        return cached_root(self.image, cache_directory() / "roots")

    def interpreter_root(self, python: str) -> Path:
        from imagekit.builders.interpreter_root import (  # noqa: PLC0415 - plans unpack nothing
            interpreter_root,
        )

        roots = cache_directory() / "roots"
        here = None
        if self._identity:
            here = interpreter_root(self.image, python, self._identity, roots)
        return here or self.root()

    def unpacked(self) -> Path | None:
        from imagekit.oci.unpack import kept_root  # noqa: PLC0415 - most plans know all layers

        return kept_root(self.image, cache_directory() / "roots")
