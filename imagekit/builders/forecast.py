# SPDX-License-Identifier: Apache-2.0
"""What a build will come to, told before it is done.

Layers are those that the builder would make: by their recipes they are looked up in the cache and
in the lock, and the small ones of files that lie here are made at once. Where every layer is known,
so is the image.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, final

from imagekit.builders.base import Base, open_base
from imagekit.builders.compiling import runs_here, unpacked_identity
from imagekit.builders.identity import is_native
from imagekit.builders.layerings import (
    Layering,
    assembled,
    layerings,
    settings_of,
    with_bytecode,
)
from imagekit.builders.plans import plan_of
from imagekit.builders.record import Record
from imagekit.errors import BuildError
from imagekit.fetch import cached
from imagekit.jobs.job import Job
from imagekit.layers.cache import LayerCache, recipe_key
from imagekit.lock.model import KnownLayer, Lock, LockedWheel
from imagekit.oci.assemble import Addition, assemble
from imagekit.oci.descriptor import Platform
from imagekit.oci.image import Image
from imagekit.oci.layer import GZIP_LAYER, Layer
from imagekit.planning.steps import InstallWheels, Step
from imagekit.progress import Progress
from imagekit.spec.model import ImageSpec
from imagekit.values import frozen

if TYPE_CHECKING:
    from imagekit.layers.bytecode import BytecodeCompiler
    from imagekit.layers.wheel_file import WheelFile

_AT_ONCE_BYTES = 32 << 20
"""Files up to this are put into their layer by the plan already."""

Here = Literal["base", "reused", "built"]


@frozen
class ForecastLayer:
    """One layer; `layer` is None where its bytes are unknown until it is built.

    Attributes:
        origin: what it is made from.
        here: whether it belongs to the base image, lies in the cache, or has to be built.
        layer: digests and size.
        size_bytes: its size, or what it is made from where that is unknown.
        runs: what has to be run in the image to build it: a field of the spec; empty for nothing.
    """

    origin: str
    here: Here
    layer: Layer | None
    size_bytes: int
    step: Step | None = None
    runs: str = ""


@frozen
class Forecast:
    """Of one platform.

    Attributes:
        spec: what was asked for.
        record: what the image is made from.
        identity: a hash of everything that enters it.
        layers: base first.
        container: what its configuration will say of containers.
        image: None where a layer is unknown; it can't be opened, only named.
    """

    spec: ImageSpec
    record: Record
    identity: str
    layers: tuple[ForecastLayer, ...]
    container: Mapping[str, Any]
    image: Image | None

    @property
    def platform(self) -> str:
        return self.record.platform

    @property
    def sources(self) -> tuple[tuple[LockedWheel, bool], ...]:
        """Wheels that are built from source, and whether one has to be built again for this."""
        return tuple(
            (wheel, layer.layer is None and cached(wheel.sha256) is None)
            for layer in self.layers
            if isinstance(layer.step, InstallWheels)
            for wheel in layer.step.wheels
            if wheel.built is not None
        )

    @property
    def unknown(self) -> tuple[str, ...]:
        """Origins of the layers whose bytes nobody knows yet."""
        return tuple(each.origin for each in self.layers if each.layer is None)


def forecast(spec: ImageSpec, spec_path: Path, lock: Lock, progress: Progress) -> Forecast:
    """Plan the build of `spec` from `lock`; nothing is downloaded, unpacked or compiled.

    Of builders other than the native one no layer is known before it is built.
    """
    base = open_base(spec, spec_path, lock, progress)
    plan = plan_of(spec, spec_path, lock, base_layers=base.layer_count)
    made = [*base.layerings(bytecode=with_bytecode(plan)), *layerings(plan, base)]
    look_up = _look_up(lock, base) if is_native(spec) else _unknown
    above = [look_up(each) for each in made]
    additions = [
        Addition(found.layer, layering.created_by)
        for layering, found in zip(made, above, strict=True)
        if found.layer is not None
    ]
    known = len(additions) == len(made)
    platform = Platform.parse(lock.target.platform)
    without_layers = assemble(base.image, [], settings_of(plan), platform=platform)
    return Forecast(
        spec=spec,
        record=Record.of(lock, bytecode=with_bytecode(plan)),
        identity=plan.identity,
        layers=(*_below(base), *above),
        container=without_layers.config.object("config").members,
        image=assembled(lock, plan, base.image, additions) if known else None,
    )


def _look_up(lock: Lock, base: Base) -> Callable[[Layering], ForecastLayer]:
    table = {known.recipe: known for known in lock.layers}
    cache = _Cache(lock, base)
    return lambda layering: _forecast_layer(layering, cache, table)


@final
class _Cache:
    """The cache as a build asks it: by recipe, then with the interpreter named by its content.

    Of a base that was never unpacked here a build finds that content out, and a plan does not.
    """

    def __init__(self, lock: Lock, base: Base) -> None:
        self._lock = lock
        self._base = base
        self.layers = LayerCache()

    def find(self, layering: Layering) -> Layer | None:
        found = self.layers.find(layering.recipe)
        if found is not None or layering.compiled_by is None or self._interpreter is None:
            return found
        return self.layers.find(layering.compiled_by(self._interpreter))

    @functools.cached_property
    def _interpreter(self) -> str | None:
        target = self._lock.target
        root = self._base.unpacked() if runs_here(target.platform) else None
        return None if root is None else unpacked_identity(root, target.python_path)


def _unknown(layering: Layering) -> ForecastLayer:
    origin = layering.created_by.removeprefix("imagekit: ")
    return ForecastLayer(origin, "built", None, layering.from_bytes, layering.step)


def _below(base: Base) -> tuple[ForecastLayer, ...]:
    layers = () if base.image is None else base.image.layers
    return tuple(ForecastLayer("base image", "base", each, each.size_bytes) for each in layers)


def _forecast_layer(
    layering: Layering, cache: _Cache, table: Mapping[str, KnownLayer]
) -> ForecastLayer:
    here: Here = "built"
    write = layering.write
    found = cache.find(layering)
    if found is not None:
        here = "reused"
    elif isinstance(write, Job):
        pass  # what it leaves is known when it was run, and then by the cache alone
    elif layering.local and layering.from_bytes <= _AT_ONCE_BYTES:
        found = cache.layers.make(layering.recipe, lambda w: write(w, _NoSources()))
    elif known := table.get(recipe_key(layering.recipe)):
        found = _TableLayer(known)
    size_bytes = layering.from_bytes if found is None else found.size_bytes
    origin = layering.created_by.removeprefix("imagekit: ")
    runs = write.what if isinstance(write, Job) and found is None else ""
    return ForecastLayer(origin, here, found, size_bytes, layering.step, runs)


@frozen
class _TableLayer:
    """A layer of the lock's table: its bytes lie elsewhere."""

    known: KnownLayer
    media_type: str = GZIP_LAYER

    @property
    def digest(self) -> str:
        return self.known.digest

    @property
    def diff_id(self) -> str:
        return self.known.diff_id

    @property
    def size_bytes(self) -> int:
        return self.known.size_bytes

    def open(self) -> BinaryIO:
        raise BuildError(f"layer {self.digest} has not been built on this machine")


class _NoSources:
    """For layers of files that lie here, which ask for nothing."""

    def wheel(self, wheel: LockedWheel) -> WheelFile:
        raise AssertionError(wheel)

    def runtime(self) -> WheelFile:
        raise AssertionError

    def compiler(self) -> BytecodeCompiler:
        raise AssertionError
