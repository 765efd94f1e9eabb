# SPDX-License-Identifier: Apache-2.0
"""The native builder: layers straight from wheels and files, with no daemon and no root.

Layers are made in parallel and cached by recipe; wheels are only downloaded for layers that are
not in the cache.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import final

from imagekit.builders.base import Base
from imagekit.builders.compiling import Interpreter, SharedCompiler
from imagekit.builders.layerings import Layering, assembled, layerings, with_bytecode
from imagekit.builders.runtime import runtime_wheel
from imagekit.builders.wheels import Wheels
from imagekit.errors import BuildError, IntegrityError
from imagekit.fetch import discard_spoilt
from imagekit.jobs.job import Job
from imagekit.jobs.sandbox import check_machine, make_layer
from imagekit.layers.bytecode import BytecodeCompiler
from imagekit.layers.cache import LayerCache
from imagekit.layers.conflicts import ConflictFree, refuse_conflicts
from imagekit.layers.wheel_file import WheelFile
from imagekit.lock.model import Lock, LockedWheel
from imagekit.oci.assemble import Addition
from imagekit.oci.image import Image
from imagekit.oci.layer import FileLayer
from imagekit.paths import cache_directory
from imagekit.planning.planner import Plan
from imagekit.planning.steps import InstallWheels
from imagekit.progress import Progress

_WORKERS = (os.cpu_count() or 1) + 1


def build_image(
    lock: Lock,
    plan: Plan,
    base: Base,
    interpreter: Interpreter | None,
    indexes: Sequence[str],
    progress: Progress,
) -> Image:
    """Make the image that `plan` describes; layers that the cache has are taken from it.

    `interpreter` compiles bytecode, where the plan wants any; `indexes` are the spec's package
    indexes, whose credentials downloads may need.

    Raises:
        BuildError: wheels contradict each other, or bytecode can't be made here.
        FetchError: a wheel or Debian package is nowhere to be had.
        IntegrityError: what was downloaded is not what it should be.
    """
    native = _NativeBuild(lock, plan, base, interpreter, indexes, progress)
    workers = ThreadPoolExecutor(_WORKERS)
    try:
        written = [each for each in native.layerings if not isinstance(each.write, Job)]
        made = {each.recipe: workers.submit(native.make, each) for each in written}
        additions = [native.make(layering) for layering in native.base_layerings]
        native.refuse_conflicts()
        for layering in native.layerings:
            if isinstance(layering.write, Job):
                below = assembled(lock, plan, base.image, additions)
                additions.append(native.run(layering, layering.write, below))
            else:
                additions.append(made[layering.recipe].result())
    except IntegrityError as error:
        raise native.explained(error) from error
    finally:
        workers.shutdown(cancel_futures=True)
        native.close()
    return assembled(lock, plan, base.image, additions)


@final
class _NativeBuild:
    """Turns the steps of one plan into layers; the `Sources` of their writers."""

    def __init__(
        self,
        lock: Lock,
        plan: Plan,
        base: Base,
        interpreter: Interpreter | None,
        indexes: Sequence[str],
        progress: Progress,
    ) -> None:
        self.cache = LayerCache()
        self._lock = lock
        self._plan = plan
        self._progress = progress
        self._compiler = None if interpreter is None else SharedCompiler(interpreter, progress)
        self.base_layerings = base.layerings(bytecode=with_bytecode(plan))
        self.layerings = layerings(plan, base.interpreter)
        self._conflict_free = ConflictFree(
            cache_directory() / "conflict-free", plan.venv, self._digests()
        )
        self._wheels = Wheels(self._needed(), indexes, progress)

    def run(self, layering: Layering, job: Job, below: Image) -> Addition:
        """The layer of what `job` changes in the image below it."""
        layer = self.cache.find(layering.recipe)
        if layer is None:
            check_machine(self._lock.target.platform, job.what)
            task = self._progress.task(f"running {job.what}")
            layer = make_layer(self.cache, layering.recipe, below, job)
            task.done()
        return Addition(layer, layering.created_by)

    def make(self, layering: Layering) -> Addition:
        """A layer that is written, not run."""
        layer = self.cache.find(layering.recipe) or self._written(layering)
        return Addition(layer, layering.created_by)

    def _written(self, layering: Layering) -> FileLayer:
        write = layering.write
        if isinstance(write, Job):
            raise TypeError(f"{write.what}: a job needs the image below it")
        task = self._progress.task(f"making {layering.created_by.removeprefix('imagekit: ')}")
        layer = self.cache.make(layering.recipe, lambda w: write(w, self))
        task.done()
        return layer

    def wheel(self, wheel: LockedWheel) -> WheelFile:
        return self._wheels.file(wheel)

    def runtime(self) -> WheelFile:
        runtime = runtime_wheel()
        if runtime.pin != self._lock.runtime:
            raise BuildError("the lock pins another runtime than this imagekit carries")
        return runtime.file

    def compiler(self) -> BytecodeCompiler:
        if self._compiler is None:
            raise BuildError("bytecode was planned, and no interpreter chosen to make it")
        return self._compiler.get()

    def refuse_conflicts(self) -> None:
        if not self._conflict_free:
            files = [self._wheels.file(wheel) for wheel in self._lock.packages]
            runtime = [] if self._lock.runtime is None else [self.runtime()]
            refuse_conflicts([*files, *runtime], self._plan.venv)
            self._conflict_free.remember()

    def explained(self, error: IntegrityError) -> IntegrityError:
        """Say so, and make the next build right, where it was the disk that changed a download."""
        names = {wheel.sha256: wheel.filename for wheel in self._lock.packages}
        names |= {deb["sha256"]: deb["filename"] for deb in self._lock.base.get("packages", ())}
        spoilt = discard_spoilt(names)
        if not spoilt:
            return error
        return IntegrityError(
            f"{', '.join(spoilt)}: changed on the disk since the download: {error.message}",
            hint="it is removed from the cache; build again to download it anew",
        )

    def close(self) -> None:
        self._wheels.close()
        if self._compiler is not None:
            self._compiler.close()

    def _digests(self) -> list[str]:
        runtime = [] if self._lock.runtime is None else [self._lock.runtime.sha256]
        return [*(wheel.sha256 for wheel in self._lock.packages), *runtime]

    def _needed(self) -> list[LockedWheel]:
        """Wheels that have to be read, in the order of their layers."""
        if not self._conflict_free:
            installs = [step for step in self._plan.steps if isinstance(step, InstallWheels)]
            return [wheel for step in installs for wheel in step.wheels]
        return [
            wheel
            for layering in self.layerings
            if layering.wheels and self.cache.find(layering.recipe) is None
            for wheel in layering.wheels
        ]
