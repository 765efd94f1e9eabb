# SPDX-License-Identifier: Apache-2.0
"""The base of an image as the native builder sees it: its layers, and its interpreter on disk."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from imagekit import debian
from imagekit.builders.compiling import Interpreter, interpreter_name, runs_here
from imagekit.builders.layerings import Layering, Sources
from imagekit.debian.releases import ARCHITECTURES
from imagekit.errors import BuildError
from imagekit.layers.bytecode import VERSION
from imagekit.layers.writer import LayerWriter
from imagekit.lock.model import Lock
from imagekit.lock.oci_base import open_locked
from imagekit.oci.image import Image
from imagekit.oci.unpack import cached_root
from imagekit.paths import cache_directory
from imagekit.progress import Progress
from imagekit.spec.model import ImageSpec


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

    def root(self) -> Path:
        """The base unpacked, so that its interpreter can be run. May take long."""


def open_base(spec: ImageSpec, folder: Path, lock: Lock, progress: Progress) -> Base:
    """The base that `lock` pins; nothing is downloaded or unpacked yet."""
    if lock.base["kind"] == "debian":
        base = debian.DebianBase.from_dict(lock.base)
        return _DebianBase(spec, base, interpreter_name(lock.base, ""), progress)
    return _ImageBase(folder, lock)


def debian_interpreter(spec: ImageSpec, lock: Lock, progress: Progress) -> Interpreter | None:
    """Debian's same Python for this machine, where `lock` pins it for another one.

    It is looked for in Debian's signed lists of today when it is needed.
    """
    platform = next((name for name in ARCHITECTURES if runs_here(name)), None)
    if lock.base["kind"] != "debian" or platform is None:
        return None

    def root() -> Path:
        version = lock.target.python_version
        found = debian.resolve_base(version, platform, _mirrors(spec), progress=progress)
        section = {"kind": "debian", **found.to_dict()}
        if interpreter_name(section, version) != interpreter_name(lock.base, version):
            raise BuildError(
                f"bytecode for {lock.target.platform} needs the Python of {platform} that the "
                "lock has, and Debian has another one by now",
                hint=f"`imagekit lock` takes today's; with `platform: [{platform}, "
                f"{lock.target.platform}]` the lock pins both",
            )
        return _DebianBase(spec, found, "", progress).root()

    label = f"bytecode for {lock.target.platform} is made by Debian's Python for {platform}"
    return Interpreter(root, lock.target.python_path, label)


class _DebianBase:
    image = None
    layer_count = 1

    def __init__(
        self, spec: ImageSpec, base: debian.DebianBase, interpreter: str, progress: Progress
    ) -> None:
        self.interpreter = interpreter
        self._spec = spec
        self._base = base
        self._progress = progress
        self._guard = threading.Lock()

    def layerings(self, *, bytecode: bool) -> Sequence[Layering]:
        compiled = f"{VERSION} {self.interpreter}" if bytecode else "none"
        recipe = f"{debian.recipe(self._base)} bytecode {compiled}"

        def write(writer: LayerWriter, sources: Sources) -> None:
            compiler = sources.compiler() if bytecode else None
            debian.write_layer(self._tree(), writer, compiler)

        return [Layering(recipe, f"imagekit: Debian {self._base.release}", write)]

    def root(self) -> Path:
        return self._tree().root

    def _tree(self) -> debian.Tree:
        with self._guard:
            tree = debian.cached_tree(self._base)
            if tree is not None:
                return tree
            debs = debian.download_debs(self._base, _mirrors(self._spec), progress=self._progress)
            return debian.unpack_tree(self._base, debs)


def _mirrors(spec: ImageSpec, environ: Mapping[str, str] = os.environ) -> debian.Mirrors:
    options = spec.builder_options
    return debian.find_mirrors(
        environ,
        mirror=options.get("debian_mirror"),
        security_mirror=options.get("debian_security_mirror"),
    )


class _ImageBase:
    def __init__(self, folder: Path, lock: Lock) -> None:
        self.image = open_locked(lock.base, folder, lock.target.platform)
        self.layer_count = len(self.image.layers)
        self.interpreter = self.image.digest

    def layerings(self, *, bytecode: bool) -> Sequence[Layering]:
        del bytecode
        return []

    def root(self) -> Path:
        return cached_root(self.image, cache_directory() / "roots")
