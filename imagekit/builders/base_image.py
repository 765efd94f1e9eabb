# SPDX-License-Identifier: Apache-2.0
"""The base as an image of its own, for builders that start from one."""

from __future__ import annotations

import functools
from typing import final

from imagekit.builders.base import Base
from imagekit.builders.compiling import Interpreter, SharedCompiler
from imagekit.builders.layerings import Layering, Sources
from imagekit.jobs.job import Job
from imagekit.layers.bytecode import BytecodeCompiler
from imagekit.layers.cache import LayerCache
from imagekit.layers.wheel_file import WheelFile
from imagekit.layers.writer import LayerWriter
from imagekit.lock.model import Lock, LockedWheel
from imagekit.oci.assemble import Addition, Settings, assemble
from imagekit.oci.descriptor import Platform
from imagekit.oci.image import Image
from imagekit.progress import Progress


def base_image(base: Base, lock: Lock, progress: Progress, *, bytecode: bool) -> Image:
    """The same base, with the same layers, as the native builder starts from.

    It is made here where it is no image already, and needs a machine that runs its platform.
    """
    if base.image is not None:
        return base.image
    cache = LayerCache()
    sources = _Sources(base, lock, progress)
    additions = []
    try:
        for layering in base.layerings(bytecode=bytecode):
            layer = cache.find(layering.recipe)
            if layer is None:
                task = progress.task(f"making {layering.created_by.removeprefix('imagekit: ')}")
                layer = cache.make(layering.recipe, functools.partial(_written, layering, sources))
                task.done()
            additions.append(Addition(layer, layering.created_by))
    finally:
        sources.close()
    platform = Platform.parse(lock.target.platform)
    return assemble(None, additions, Settings(), platform=platform)


def _written(layering: Layering, sources: Sources, writer: LayerWriter) -> None:
    if isinstance(layering.write, Job):
        raise TypeError(f"{layering.created_by}: no layer of a base is made by a job")
    layering.write(writer, sources)


@final
class _Sources:
    """A base is made of Debian packages alone; what it asks for is the compiler."""

    def __init__(self, base: Base, lock: Lock, progress: Progress) -> None:
        interpreter = Interpreter(base.root, lock.target.python_path)
        self._compiler = SharedCompiler(interpreter, progress)

    def compiler(self) -> BytecodeCompiler:
        return self._compiler.get()

    def close(self) -> None:
        self._compiler.close()

    def wheel(self, wheel: LockedWheel) -> WheelFile:
        raise LookupError(f"a base has no wheels, and {wheel.filename} is one")

    def runtime(self) -> WheelFile:
        raise LookupError("a base has no runtime")
