# SPDX-License-Identifier: Apache-2.0
"""Ways to turn a spec and its lock into an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from imagekit.builders.base import open_base
from imagekit.builders.native import build_image
from imagekit.builders.runtime import runtime_pin
from imagekit.builders.targets import deliver, parse_target
from imagekit.errors import BuildError
from imagekit.lock.file import lock_path
from imagekit.lock.model import Lock
from imagekit.oci.image import Image
from imagekit.oci.store import Store
from imagekit.plan.planner import make_plan
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
    image: Image

    @property
    def digest(self) -> str:
        return self.image.digest


def build(
    spec: ImageSpec,
    spec_path: Path,
    lock: Lock,
    to: Sequence[str],
    progress: Progress,
    *,
    push: bool = False,
) -> Built:
    """Build `spec` from `lock`, and bring the image to each of `to`, or to the local store.

    `push` adds the spec's own registry, under the image's tag.
    """
    folder = spec_path.parent
    targets = [parse_target(text) for text in to]
    if push and spec.registry is None:
        raise BuildError("the spec names no registry to push to", hint="add `registry: HOST/TEAM`")
    base = open_base(spec, folder, lock, progress)
    own_files = (spec_path.absolute(), lock_path(spec_path).absolute())
    plan = make_plan(spec, folder, lock, base_layers=base.layer_count, leave_out=own_files)
    indexes = [*filter(None, [spec.pip_index]), *spec.pip_extra_index_url]
    image = build_image(lock, plan, base, indexes, progress)
    repository = spec.name if spec.registry is None else f"{spec.registry}/{spec.name}"
    name = f"{repository}:{plan.tag}"
    if push:
        targets.append(RegistryReference.parse(name))
    client = RegistryClient(progress=progress)
    for target in targets:
        deliver(image, target, name, client)
    client.close()
    if not targets:
        Store().add(image, name)
    return Built(repository, plan.tag, image)
