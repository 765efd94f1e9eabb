# SPDX-License-Identifier: Apache-2.0
"""The base as an image of its own, for builders that start from one."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, final

from imagekit.builders.base import Base
from imagekit.builders.compiling import Interpreter, SharedCompiler
from imagekit.builders.frontend import Prepared
from imagekit.builders.layerings import Layering, Sources
from imagekit.builders.wheels import Wheels
from imagekit.jobs.job import Job
from imagekit.layers.bytecode import BytecodeCompiler
from imagekit.layers.cache import LayerCache
from imagekit.layers.wheel_file import WheelFile
from imagekit.lock.model import LockedWheel
from imagekit.oci.assemble import Addition, Settings, assemble
from imagekit.oci.descriptor import Platform
from imagekit.oci.image import Image
from imagekit.oci.layer import FileLayer
from imagekit.planning.steps import InstallDebian, ListLibraries
from imagekit.progress import watched

if TYPE_CHECKING:
    from imagekit.layers.writer import LayerWriter


def base_image(prepared: Prepared, *, jobs: bool = True) -> Image:
    """The same base, with the same layers, as the native builder starts from.

    It is made here where it is no image already. Debian packages of the plan lie on it, and what
    the loader is told; without `jobs` scripts are left to a step of the builder's (`deb_entries`).
    """
    image, laid = prepared.base.image, prepared.laid
    if image is not None and not laid:
        return image
    sources = _Sources(prepared)
    try:
        if image is None:
            made = prepared.base.layerings(bytecode=prepared.bytecode)
            image = _laid_over(None, made, prepared, sources)
        above = [layering for step in laid for layering in _layerings(step, prepared.base)]
        wanted = [each for each in above if jobs or not isinstance(each.write, Job)]
        return _laid_over(image, wanted, prepared, sources)
    finally:
        sources.close()


def _layerings(step: InstallDebian | ListLibraries, base: Base) -> Sequence[Layering]:
    if isinstance(step, ListLibraries):
        return [base.libraries(step)]
    return base.packages(step.section)


def _laid_over(
    image: Image | None, made: Sequence[Layering], prepared: Prepared, sources: Sources
) -> Image:
    platform = Platform.parse(prepared.lock.target.platform)
    below = image
    for layering in made:
        layer = _layer(layering, below, prepared, sources)
        addition = Addition(layer, layering.created_by)
        below = assemble(below, [addition], Settings(), platform=platform)
    if below is None:
        raise LookupError("a base without layers")
    return below


def _layer(
    layering: Layering, below: Image | None, prepared: Prepared, sources: Sources
) -> FileLayer:
    cache, progress = LayerCache(), prepared.request.progress
    layer = cache.find(layering.recipe)
    if layer is not None:
        return layer
    if below is not None and isinstance(layering.write, Job):
        from imagekit.builders.running import run_layering  # noqa: PLC0415 - once per base

        return run_layering(layering, layering.write, below, cache, progress)
    with watched(progress.task(layering.label)):
        return cache.make(layering.recipe, functools.partial(_written, layering, sources))


def _written(layering: Layering, sources: Sources, writer: LayerWriter) -> None:
    if isinstance(layering.write, Job):
        raise TypeError(f"{layering.created_by}: a job needs the image below it")
    layering.write(writer, sources)


@final
class _Sources:
    """What a base is made from beside Debian packages: bytecode, and names of wheels' files."""

    def __init__(self, prepared: Prepared) -> None:
        lock = prepared.lock
        interpreter = Interpreter(prepared.base.root, lock.target.python_path)
        progress = prepared.request.progress
        self._compiler = SharedCompiler(interpreter, progress)
        self._wheels = Wheels((), prepared.request.supply(lock), progress)

    def compiler(self) -> BytecodeCompiler:
        return self._compiler.get()

    def close(self) -> None:
        self._compiler.close()
        self._wheels.close()

    def wheel(self, wheel: LockedWheel) -> WheelFile:
        return self._wheels.file(wheel)

    def runtime(self) -> WheelFile:
        raise LookupError("a base has no runtime")
