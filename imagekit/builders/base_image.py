# SPDX-License-Identifier: Apache-2.0
"""The base as an image of its own, for builders that start from one."""

from __future__ import annotations

import functools
from typing import final

from imagekit.builders.compiling import Interpreter, SharedCompiler
from imagekit.builders.frontend import Prepared
from imagekit.builders.layerings import Layering, Sources
from imagekit.jobs.job import Job
from imagekit.layers.bytecode import BytecodeCompiler
from imagekit.layers.cache import LayerCache
from imagekit.layers.wheel_file import WheelFile
from imagekit.layers.writer import LayerWriter
from imagekit.lock.model import LockedWheel
from imagekit.oci.assemble import Addition, Settings, assemble
from imagekit.oci.descriptor import Platform
from imagekit.oci.image import Image
from imagekit.progress import watched


def base_image(prepared: Prepared) -> Image:
    """The same base, with the same layers, as the native builder starts from.

    It is made here where it is no image already.
    """
    if prepared.base.image is not None:
        return prepared.base.image
    lock, progress = prepared.lock, prepared.request.progress
    cache = LayerCache()
    sources = _Sources(prepared)
    additions = []
    try:
        for layering in prepared.base.layerings(bytecode=prepared.bytecode):
            layer = cache.find(layering.recipe)
            if layer is None:
                write = functools.partial(_written, layering, sources)
                with watched(progress.task(layering.label)):
                    layer = cache.make(layering.recipe, write)
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

    def __init__(self, prepared: Prepared) -> None:
        lock = prepared.lock
        interpreter = Interpreter(prepared.base.root, lock.target.python_path)
        self._compiler = SharedCompiler(interpreter, prepared.request.progress)

    def compiler(self) -> BytecodeCompiler:
        return self._compiler.get()

    def close(self) -> None:
        self._compiler.close()

    def wheel(self, wheel: LockedWheel) -> WheelFile:
        raise LookupError(f"a base has no wheels, and {wheel.filename} is one")

    def runtime(self) -> WheelFile:
        raise LookupError("a base has no runtime")
