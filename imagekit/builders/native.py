# SPDX-License-Identifier: Apache-2.0
"""The native builder: layers straight from wheels and files, with no daemon and no root.

Layers are made in parallel and cached by recipe; wheels are only downloaded for layers that are
not in the cache.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import final

from imagekit.builders.base import Base, check_host
from imagekit.builders.runtime import runtime_wheel
from imagekit.builders.wheels import Wheels
from imagekit.errors import BuildError, IntegrityError
from imagekit.fetch import discard_spoilt
from imagekit.layers import tree
from imagekit.layers.bytecode import VERSION, BytecodeCompiler
from imagekit.layers.cache import LayerCache
from imagekit.layers.conflicts import ConflictFree, refuse_conflicts
from imagekit.layers.users import write_user
from imagekit.layers.venv import PREFIX
from imagekit.layers.wheel_layer import FORMAT, WheelFile, write_wheels
from imagekit.layers.writer import LayerWriter
from imagekit.lock.model import Lock, LockedWheel
from imagekit.oci.assemble import Addition, Settings, assemble
from imagekit.oci.descriptor import Platform
from imagekit.oci.image import Image
from imagekit.paths import cache_directory
from imagekit.plan.planner import Plan
from imagekit.plan.steps import (
    AddUser,
    Configure,
    CopyFiles,
    InstallRuntime,
    InstallWheels,
    MakeEnvironment,
    Step,
)
from imagekit.progress import Progress

LOCK_ANNOTATION = "dev.imagekit.lock.digest"
_WORKERS = (os.cpu_count() or 1) + 1
_FLYTE_NAMES = ("pyflyte-execute", "pyflyte-fast-execute", "pyflyte-map-execute")


@dataclass(frozen=True, slots=True)
class Layering:
    """How one layer is made: what its bytes depend on, and what writes them."""

    recipe: str
    created_by: str
    write: Callable[[LayerWriter], None]


def build_image(
    lock: Lock, plan: Plan, base: Base, indexes: Sequence[str], progress: Progress
) -> Image:
    """Make the image that `plan` describes; layers that the cache has are taken from it.

    `indexes` are the spec's package indexes, whose credentials downloads may need.

    Raises:
        BuildError: wheels contradict each other, or bytecode can't be made here.
        FetchError: a wheel or Debian package is nowhere to be had.
        IntegrityError: what was downloaded is not what it should be.
    """
    native = _NativeBuild(lock, plan, base, indexes, progress)
    workers = ThreadPoolExecutor(_WORKERS)
    try:
        made = [workers.submit(native.make, layering) for layering in native.layerings]
        below = base.additions(native.cache, bytecode=native.bytecode)
        native.refuse_conflicts()
        additions = [*below, *(future.result() for future in made)]
    except IntegrityError as error:
        raise native.explained(error) from error
    finally:
        workers.shutdown(cancel_futures=True)
        native.close()
    return native.assembled(additions)


@final
class _NativeBuild:
    """Turns the steps of one plan into layers and a configuration."""

    def __init__(
        self, lock: Lock, plan: Plan, base: Base, indexes: Sequence[str], progress: Progress
    ) -> None:
        self.cache = LayerCache()
        self._lock = lock
        self._plan = plan
        self._base = base
        self._progress = progress
        self._compiler = _SharedCompiler(base, lock)
        installs = [s for s in plan.steps if isinstance(s, InstallWheels | InstallRuntime)]
        self.bytecode = any(step.bytecode for step in installs)
        if self.bytecode:
            check_host(lock.target.platform)
        found = (self._layering(step) for step in plan.steps)
        self.layerings = [layering for layering in found if layering is not None]
        self._conflict_free = ConflictFree(
            cache_directory() / "conflict-free", plan.venv, self._digests()
        )
        self._wheels = Wheels(self._needed(), indexes, progress)

    def make(self, layering: Layering) -> Addition:
        layer = self.cache.find(layering.recipe)
        if layer is None:
            task = self._progress.task(f"making {layering.created_by.removeprefix('imagekit: ')}")
            layer = self.cache.make(layering.recipe, layering.write)
            task.done()
        return Addition(layer, layering.created_by)

    def refuse_conflicts(self) -> None:
        if not self._conflict_free:
            files = [self._wheels.file(wheel) for wheel in self._lock.packages]
            runtime = [] if self._lock.runtime is None else [self._runtime()]
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
        self._compiler.close()

    def _digests(self) -> list[str]:
        runtime = [] if self._lock.runtime is None else [self._lock.runtime.sha256]
        return [*(wheel.sha256 for wheel in self._lock.packages), *runtime]

    def _needed(self) -> list[LockedWheel]:
        """Wheels that have to be read, in the order of their layers."""
        if not self._conflict_free:
            return [wheel for step in self._installs() for wheel in step.wheels]
        return [
            wheel
            for step in self._installs()
            if self.cache.find(self._wheel_layer(step).recipe) is None
            for wheel in step.wheels
        ]

    def _installs(self) -> list[InstallWheels]:
        return [step for step in self._plan.steps if isinstance(step, InstallWheels)]

    def _layering(self, step: Step) -> Layering | None:
        """How `step` becomes a layer; None for the base and the configuration."""
        if isinstance(step, MakeEnvironment):
            venv = step.venv
            recipe = _recipe("environment", python=venv.python, version=venv.version)
            return Layering(recipe, f"imagekit: /{PREFIX}", venv.write)
        if isinstance(step, InstallWheels):
            return self._wheel_layer(step)
        if isinstance(step, InstallRuntime):
            return self._runtime_layer(step)
        if isinstance(step, AddUser):
            passwd = step.passwd
            recipe = _recipe("user", passwd=passwd)
            return Layering(recipe, "imagekit: user task", lambda w: write_user(w, passwd))
        if isinstance(step, CopyFiles):
            return _copy_layer(step)
        return None

    def assembled(self, additions: list[Addition]) -> Image:
        configure = next(step for step in self._plan.steps if isinstance(step, Configure))
        settings = Settings(
            user=configure.user,
            environment=configure.env,
            entrypoint=configure.entrypoint,
            workdir=configure.workdir,
            labels=configure.labels,
        )
        return assemble(
            self._base.image,
            additions,
            settings,
            platform=Platform.parse(self._lock.target.platform),
            annotations={LOCK_ANNOTATION: self._lock.digest},
        )

    def _wheel_layer(self, step: InstallWheels) -> Layering:
        def write(writer: LayerWriter) -> None:
            files = [self._wheels.file(wheel) for wheel in step.wheels]
            compiler = self._compiler.get() if step.bytecode else None
            write_wheels(writer, files, self._plan.venv, compiler)

        names = " ".join(f"{wheel.name}=={wheel.version}" for wheel in step.wheels)
        digests = [wheel.sha256 for wheel in step.wheels]
        recipe = self._install_recipe(digests, bytecode=step.bytecode)
        return Layering(recipe, f"imagekit: {names}", write)

    def _runtime_layer(self, step: InstallRuntime) -> Layering:
        def write(writer: LayerWriter) -> None:
            compiler = self._compiler.get() if step.bytecode else None
            write_wheels(writer, [self._runtime()], self._plan.venv, compiler)
            for name in _FLYTE_NAMES if step.flyte_names else ():
                text = f'#!/bin/sh\nexec {self._start()} {name} "$@"\n'
                writer.file(f"{PREFIX}/bin/{name}", text.encode(), mode=0o755)

        names = f" names {step.flyte_names}"
        recipe = self._install_recipe([step.pin.sha256], bytecode=step.bytecode) + names
        return Layering(recipe, f"imagekit: runtime {step.pin.version}", write)

    def _start(self) -> str:
        venv = self._plan.venv
        return f"{venv.executable} -I /{venv.site_packages}/entrypoint/__main__.py"

    def _install_recipe(self, digests: list[str], *, bytecode: bool) -> str:
        interpreter = f"{VERSION} {self._base.interpreter}" if bytecode else "none"
        venv = self._plan.venv
        return _recipe(FORMAT, python=venv.minor, bytecode=interpreter, wheels=digests)

    def _runtime(self) -> WheelFile:
        runtime = runtime_wheel()
        if runtime.pin != self._lock.runtime:
            raise BuildError("the lock pins another runtime than this imagekit carries")
        return runtime.file


def _copy_layer(step: CopyFiles) -> Layering:
    workdir = step.workdir.strip("/")
    nodes = [node.identity for node in step.nodes]
    recipe = _recipe(tree.FORMAT, workdir=workdir, nodes=nodes)
    return Layering(
        recipe, f"imagekit: {step.what}", lambda w: tree.write_tree(w, step.nodes, workdir)
    )


def _recipe(kind: str, **parts: object) -> str:
    return json.dumps({"kind": kind, **parts}, sort_keys=True)


@final
class _SharedCompiler:
    """One compiler for all layers, started when the first of them needs it."""

    def __init__(self, base: Base, lock: Lock) -> None:
        self._base = base
        self._python = lock.target.python_path
        self._guard = threading.Lock()
        self._started: BytecodeCompiler | None = None
        self._failed: Exception | None = None

    def get(self) -> BytecodeCompiler:
        with self._guard:
            if self._failed is not None:
                raise self._failed
            if self._started is None:
                try:
                    self._started = BytecodeCompiler(self._base.root(), self._python).__enter__()
                except Exception as error:
                    self._failed = error
                    raise
            return self._started

    def close(self) -> None:
        if self._started is not None:
            self._started.__exit__(None, None, None)
