# SPDX-License-Identifier: Apache-2.0
"""The base of an image as the native builder sees it: its layers, and its interpreter on disk."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from imagekit import debian
from imagekit.builders.layerings import Layering
from imagekit.errors import BuildError
from imagekit.layers.bytecode import VERSION, BytecodeCompiler, host_can_run
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
        return _DebianBase(spec, lock, progress)
    return _ImageBase(folder, lock)


class _DebianBase:
    image = None
    layer_count = 1

    def __init__(self, spec: ImageSpec, lock: Lock, progress: Progress) -> None:
        self._spec = spec
        self._base = debian.DebianBase.from_dict(lock.base)
        self._platform = lock.target.platform
        self._progress = progress
        self._guard = threading.Lock()
        python = [package.sha256 for package in self._base.packages if "python" in package.name]
        self.interpreter = " ".join(sorted(python))

    def layerings(self, *, bytecode: bool) -> Sequence[Layering]:
        recipe = f"{debian.recipe(self._base)} bytecode {VERSION if bytecode else 'none'}"
        what = f"imagekit: Debian {self._base.release}"
        return [Layering(recipe, what, lambda w, _: self._write(w, bytecode=bytecode))]

    def root(self) -> Path:
        return self._tree().root

    def _write(self, writer: LayerWriter, *, bytecode: bool) -> None:
        tree = self._tree()
        if bytecode:
            check_host(self._platform)
            with BytecodeCompiler(tree.root, self._base.python_path) as compiler:
                debian.write_layer(tree, writer, compiler)
        else:
            debian.write_layer(tree, writer, None)

    def _tree(self) -> debian.Tree:
        with self._guard:
            tree = debian.cached_tree(self._base)
            if tree is not None:
                return tree
            debs = debian.download_debs(self._base, self._mirrors(), progress=self._progress)
            return debian.unpack_tree(self._base, debs)

    def _mirrors(self, environ: Mapping[str, str] = os.environ) -> debian.Mirrors:
        options = self._spec.builder_options
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


def check_host(platform: str) -> None:
    """Raise BuildError where this machine can't run the interpreter that makes the bytecode."""
    if not host_can_run(platform.partition("/")[2]):
        raise BuildError(
            f"this machine can't run {platform}, and bytecode is made by the base's interpreter",
            hint="build there, or set `compile_bytecode: false` in the spec",
        )
