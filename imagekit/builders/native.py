# SPDX-License-Identifier: Apache-2.0
"""The native builder: layers straight from wheels and files, with no daemon and no root.

A layer is taken from the cache, or it is known from the lock or a trusted registry and fetched
when its bytes are wanted, or it is made. Layers are made in parallel and cached by recipe; wheels
are only downloaded for layers that are made.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, final

from imagekit.builders.agreement import Agreement
from imagekit.builders.base import Base
from imagekit.builders.compiling import Interpreter, SharedCompiler
from imagekit.builders.known import Known, KnownLayers, check_promise
from imagekit.builders.layerings import Layering, assembled, layerings, with_bytecode
from imagekit.builders.running import run_layering
from imagekit.builders.runtime import runtime_wheel
from imagekit.builders.wheels import Supply, Wheels
from imagekit.errors import BuildError, IntegrityError
from imagekit.fetch import discard_spoilt
from imagekit.jobs.job import Job
from imagekit.layers.cache import LayerCache, recipe_key
from imagekit.layers.conflict_free import ConflictFree
from imagekit.layers.wheel_file import WheelFile
from imagekit.lock.model import Lock, LockedWheel
from imagekit.oci.assemble import Addition
from imagekit.oci.image import Image
from imagekit.oci.layer import FileLayer, Layer
from imagekit.oci.lazy import LazyLayer
from imagekit.paths import cache_directory
from imagekit.planning.planner import Plan
from imagekit.progress import Progress, watched
from imagekit.values import frozen

if TYPE_CHECKING:
    from imagekit.layers.bytecode import BytecodeCompiler

_WORKERS = (os.cpu_count() or 1) + 1


@frozen
class Materials:
    """What an image is made from, beside its plan.

    Attributes:
        base: what it stands on.
        interpreter: compiles bytecode; None where the plan wants none.
        supply: where wheels come from.
        known: layers that others made.
    """

    base: Base
    interpreter: Interpreter | None
    supply: Supply
    known: KnownLayers


@frozen
class Made:
    """An image, and of its layers that others can make too the keys of their recipes.

    `recorded` are the keys of those that only a registry's record vouches for; `wheels` names the
    set of its wheels, which was found free of conflicts; `claims` gives what the wheels of a layer
    write, by its key (see `Agreement.encoded`).
    """

    image: Image
    layers: tuple[tuple[str, Layer], ...]
    recorded: frozenset[str]
    wheels: str
    claims: Callable[[str], bytes | None]


@contextlib.contextmanager
def building(
    lock: Lock,
    plan: Plan,
    materials: Materials,
    progress: Progress,
    written: Callable[[Layer], None] = lambda _: None,
) -> Iterator[Made]:
    """Make the image that `plan` describes; layers that the cache has are taken from it.

    `written` is called, from any thread, with each layer of wheels and files that is made anew.

    Layers that are not here yet can be opened within the block, which may raise the same:

    Raises:
        BuildError: wheels contradict each other, or bytecode can't be made here.
        FetchError: a wheel or Debian package is nowhere to be had.
        IntegrityError: what was downloaded or promised is not what it should be.
    """
    native = _NativeBuild(lock, plan, materials, progress, written)
    try:
        yield native.made()
    except IntegrityError as error:
        raise native.explained(error) from error
    finally:
        native.close()


@final
class _NativeBuild:
    """Turns the steps of one plan into layers; the `Sources` of their writers."""

    def __init__(
        self,
        lock: Lock,
        plan: Plan,
        materials: Materials,
        progress: Progress,
        on_written: Callable[[Layer], None],
    ) -> None:
        self._on_written = on_written
        self._cache = LayerCache()
        self._lock = lock
        self._plan = plan
        self._known = materials.known
        self._progress = progress
        interpreter = materials.interpreter
        self._compiler = None if interpreter is None else SharedCompiler(interpreter, progress)
        self._base = materials.base.image
        below = materials.base.layerings(bytecode=with_bytecode(plan))
        self._layerings = [*below, *layerings(plan, materials.base)]
        self._reused: Counter[str] = Counter()
        self._conflict_free = ConflictFree(
            cache_directory() / "conflict-free", plan.venv, self._digests()
        )
        missing = self._missing()
        self._known.look_up(recipe_key(each.recipe) for each in missing)
        self._checked = bool(self._conflict_free) or self._checked_elsewhere()
        self._agreement = Agreement(self._layerings, plan.venv, self._known)
        if not self._checked:
            self._agreement.look_up()
        self._wheels = Wheels(self._needed(missing), materials.supply, progress)
        self._compiles = any(each.compiled_by and self._is_made(each) for each in missing)

    def made(self) -> Made:
        self._refuse_unrunnable()
        workers = ThreadPoolExecutor(_WORKERS)
        try:
            written = [each for each in self._layerings if not isinstance(each.write, Job)]
            if self._compiler is not None and self._compiles:
                # What stands in the wheels is written meanwhile; whoever compiles hears of errors.
                workers.submit(self._compiler.unpack)
            futures = {each.recipe: workers.submit(self._layer, each) for each in written}
            self._refuse_conflicts()
            additions: list[Addition] = []
            for layering in self._layerings:
                if isinstance(layering.write, Job):
                    below = self._image(additions)
                    layer: Layer = run_layering(
                        layering, layering.write, below, self._cache, self._progress
                    )
                else:
                    layer = futures[layering.recipe].result()
                additions.append(Addition(layer, layering.created_by))
        finally:
            workers.shutdown(cancel_futures=True)
        self._tell_of_reuse()
        pairs = zip(self._layerings, additions, strict=True)
        shared = [(recipe_key(x.recipe), addition.layer) for x, addition in pairs if x.shared]
        recorded = {key for key, _ in shared if (known := self._known.find(key)) and known.recorded}
        image = self._image(additions)
        claims = self._agreement.encoded
        return Made(image, tuple(shared), frozenset(recorded), self._conflict_free.key, claims)

    def _image(self, additions: Sequence[Addition]) -> Image:
        return assembled(self._lock, self._plan, self._base, additions)

    def _layer(self, layering: Layering) -> Layer:
        """From here, left where it is, or made."""
        if layer := self._cache.find(layering.recipe):
            self._reused["made before"] += 1
            return self._as_locked(layering, layer)
        known = self._known.find(recipe_key(layering.recipe))
        if known is None:
            made = self._as_locked(layering, self._written(layering))
            self._on_written(made)
            return made
        self._reused["known from a registry or the lock"] += 1
        lazy = LazyLayer(known.promised, partial(self._realized, layering, known), known.source)
        if not self._known.lazy:
            lazy.file()
        return lazy

    def _written(self, layering: Layering) -> FileLayer:
        write = layering.write
        if isinstance(write, Job):
            raise TypeError(f"{write.what}: a job needs the image below it")
        with watched(self._progress.task(layering.label)):
            return self._cache.make(
                layering.recipe, lambda w: write(w, self), partial(self._by_content, layering)
            )

    def _by_content(self, layering: Layering) -> str:
        """The recipe that all bases with the same interpreter have, whatever a lock calls it."""
        if layering.compiled_by is None or self._compiler is None:
            return layering.recipe
        identity = self._compiler.identity()
        return layering.recipe if identity is None else layering.compiled_by(identity)

    def _tell_of_reuse(self) -> None:
        for why, count in self._reused.items():
            self._progress.task(f"{count} layers, {why}").done(cached=True)

    def _as_locked(self, layering: Layering, layer: FileLayer) -> FileLayer:
        promised = self._known.locked(recipe_key(layering.recipe))
        if promised is not None:
            check_promise(promised, layer, layering.created_by, "the lock")
        return layer

    def _realized(self, layering: Layering, known: Known) -> FileLayer:
        """A layer that others made: from a registry that is trusted, or made here after all."""
        here = self._cache.blob(known.promised)
        found = here or self._known.fetch(known.promised, self._cache)
        if found is not None:
            return found
        layer = self._written(layering)
        source = "a registry's record" if known.recorded else "the lock"
        check_promise(known.promised, layer, layering.created_by, source)
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

    def explained(self, error: IntegrityError) -> IntegrityError:
        """Say so, and make the next build right, where it was the disk that changed a download."""
        names = {wheel.sha256: wheel.filename for wheel in self._lock.packages}
        debs = [*self._lock.base.get("packages", ()), *(self._lock.apt or {}).get("packages", ())]
        names |= {deb["sha256"]: deb["filename"] for deb in debs}
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

    def _refuse_unrunnable(self) -> None:
        missing = [
            layering.write.what
            for layering in self._layerings
            if isinstance(layering.write, Job) and self._cache.find(layering.recipe) is None
        ]
        if missing:
            from imagekit.builders.unrunnable import refuse_unrunnable  # noqa: PLC0415 - few run any

            refuse_unrunnable(missing[0], self._lock.target.platform)

    def _refuse_conflicts(self) -> None:
        if not self._checked:
            runtime = [] if self._lock.runtime is None else [self.runtime()]
            self._agreement.check(self._wheels.file, runtime)
            self._conflict_free.remember()

    def _checked_elsewhere(self) -> bool:
        keys = [recipe_key(each.recipe) for each in self._layerings if each.wheels]
        return self._known.free_of_conflicts(self._conflict_free.key, keys)

    def _digests(self) -> list[str]:
        runtime = [] if self._lock.runtime is None else [self._lock.runtime.sha256]
        return [*(wheel.sha256 for wheel in self._lock.packages), *runtime]

    def _missing(self) -> list[Layering]:
        """Layers that are not here and can't be made from what lies here."""
        shared = (each for each in self._layerings if each.shared)
        return [each for each in shared if self._cache.find(each.recipe) is None]

    def _is_made(self, missing: Layering) -> bool:
        """Whether nobody is known to have made it already."""
        return self._known.find(recipe_key(missing.recipe)) is None

    def _needed(self, missing: Sequence[Layering]) -> list[LockedWheel]:
        """Wheels that have to be read, in the order of their layers."""
        made = {layering.recipe for layering in missing if self._is_made(layering)}
        return [
            wheel
            for each in self._layerings
            if each.recipe in made or (not self._checked and self._agreement.needs(each))
            for wheel in each.wheels
        ]
