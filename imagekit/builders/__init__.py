# SPDX-License-Identifier: Apache-2.0
"""Ways to turn a spec and its lock into an image."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from imagekit.builders.base import debian_interpreter, open_base
from imagekit.builders.compiling import choose_interpreter
from imagekit.builders.native import build_image
from imagekit.builders.runtime import runtime_pin
from imagekit.builders.targets import deliver, parse_target
from imagekit.errors import BuildError
from imagekit.lock.file import lock_path
from imagekit.lock.model import Lock
from imagekit.oci.descriptor import Platform
from imagekit.oci.image import Image
from imagekit.oci.index import ImageIndex, Named, images_of
from imagekit.oci.store import Store
from imagekit.plan.planner import Plan, make_plan
from imagekit.progress import Progress
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference
from imagekit.spec.model import ImageSpec

__all__ = ["Built", "build", "runtime_pin"]


@dataclass(frozen=True, slots=True)
class Built:
    """`reference` is the repository, with the registry where the spec names one."""

    reference: str
    tag: str
    named: Named

    @property
    def image(self) -> Image:
        """The image; of several platforms this machine's, or the first one."""
        images = images_of(self.named)
        here = Platform.of_this_machine()
        return next((each for each in images if each.platform.fits(here)), images[0])

    @property
    def digest(self) -> str:
        """Of the manifest, or of the index that names those of all platforms."""
        return self.named.digest


def build(
    spec: ImageSpec,
    spec_path: Path,
    locks: Sequence[Lock],
    to: Sequence[str],
    progress: Progress,
    *,
    push: bool = False,
) -> Built:
    """Build `spec` from its locks, and bring the result to each of `to`, or to the local store.

    `push` adds the spec's own registry, under the image's tag. Of several platforms there is one
    lock each, and the result is an index.
    """
    targets = [parse_target(text) for text in to]
    if push and spec.registry is None:
        raise BuildError("the spec names no registry to push to", hint="add `registry: HOST/TEAM`")
    made = [_build_one(spec, spec_path, lock, locks, progress) for lock in locks]
    tag = _common_tag([plan.tag for plan, _ in made])
    images = tuple(image for _, image in made)
    named: Named = images[0] if len(images) == 1 else ImageIndex(images)
    repository = spec.name if spec.registry is None else f"{spec.registry}/{spec.name}"
    name = f"{repository}:{tag}"
    if push:
        targets.append(RegistryReference.parse(name))
    client = RegistryClient(progress=progress)
    for target in targets:
        deliver(named, target, name, client)
    client.close()
    if not targets:
        Store().add(named, name)
    return Built(repository, tag, named)


def _build_one(
    spec: ImageSpec, spec_path: Path, lock: Lock, locks: Sequence[Lock], progress: Progress
) -> tuple[Plan, Image]:
    folder = spec_path.parent
    base = open_base(spec, folder, lock, progress)
    interpreter = None
    if spec.compile_bytecode:
        interpreter = choose_interpreter(
            lock,
            [other for other in locks if other is not lock],
            lambda of: (base if of is lock else open_base(spec, folder, of, progress)).root(),
            lambda of: debian_interpreter(spec, of, progress),
        )
    own_files = (spec_path.absolute(), lock_path(spec_path).absolute())
    plan = make_plan(spec, folder, lock, base_layers=base.layer_count, leave_out=own_files)
    indexes = [*filter(None, [spec.pip_index]), *spec.pip_extra_index_url]
    return plan, build_image(lock, plan, base, interpreter, indexes, progress)


def _common_tag(tags: Sequence[str]) -> str:
    """One platform's own tag, or one that follows from those of all platforms."""
    if len(tags) == 1:
        return tags[0]
    return hashlib.sha256("\n".join(tags).encode()).hexdigest()[: len(tags[0])]
