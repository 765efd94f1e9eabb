# SPDX-License-Identifier: Apache-2.0
"""Makes the embedded base: downloads, unpacks and writes it, each when it is asked for."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path

from imagekit.builders.compiling import Interpreter, interpreter_name, runs_here
from imagekit.debian.assemble import download_debs, resolve_base
from imagekit.debian.base import DebianBase
from imagekit.debian.layer import write_layer
from imagekit.debian.releases import ARCHITECTURES
from imagekit.debian.sources import find_mirrors
from imagekit.debian.store import cached_tree, unpack_tree
from imagekit.debian.tree import Tree
from imagekit.errors import BuildError
from imagekit.layers.bytecode import BytecodeCompiler
from imagekit.layers.writer import LayerWriter
from imagekit.lock.model import Lock
from imagekit.progress import Progress


class DebianRoot:
    """Any thread may use it. `options` are the spec's builder options, which name mirrors."""

    def __init__(self, base: DebianBase, options: Mapping[str, str], progress: Progress) -> None:
        self._base = base
        self._options = options
        self._progress = progress
        self._guard = threading.Lock()

    def tree(self) -> Tree:
        """The base unpacked. May take long."""
        with self._guard:
            tree = cached_tree(self._base)
            if tree is not None:
                return tree
            debs = download_debs(
                self._base, find_mirrors(os.environ, self._options), progress=self._progress
            )
            return unpack_tree(self._base, debs)

    def write(self, writer: LayerWriter, compiler: BytecodeCompiler | None) -> None:
        write_layer(self.tree(), writer, compiler)


def debian_interpreter(
    options: Mapping[str, str], lock: Lock, progress: Progress
) -> Interpreter | None:
    """Debian's same Python for this machine, where `lock` pins it for another one.

    It is looked for in Debian's signed lists of today when it is needed.
    """
    platform = next((name for name in ARCHITECTURES if runs_here(name)), None)
    if lock.base["kind"] != "debian" or platform is None:
        return None

    def root() -> Path:
        version = lock.target.python_version
        found = resolve_base(
            version, platform, find_mirrors(os.environ, options), progress=progress
        )
        section = {"kind": "debian", **found.to_dict()}
        if interpreter_name(section, version) != interpreter_name(lock.base, version):
            raise BuildError(
                f"bytecode for {lock.target.platform} needs the Python of {platform} that the "
                "lock has, and Debian has another one by now",
                hint=f"`imagekit lock` takes today's; with `platform: [{platform}, "
                f"{lock.target.platform}]` the lock pins both",
            )
        return DebianRoot(found, options, progress).tree().root

    label = f"bytecode for {lock.target.platform} is made by Debian's Python for {platform}"
    return Interpreter(root, lock.target.python_path, label)
