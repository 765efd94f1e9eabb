# SPDX-License-Identifier: Apache-2.0
"""From a spec and its locks to an image in its places."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from imagekit.builders.base import open_base
from imagekit.builders.compiling import choose_interpreter
from imagekit.builders.debian_root import debian_interpreter
from imagekit.builders.identity import native_identity
from imagekit.builders.latest import remember_image
from imagekit.builders.layerings import known_layers, layerings, with_bytecode
from imagekit.builders.model import BuildRequest, Built
from imagekit.builders.naming import common_tag, repository
from imagekit.builders.native import build_image
from imagekit.builders.table import find_builder
from imagekit.builders.targets import Target, deliver, parse_target
from imagekit.errors import BuildError
from imagekit.lock.ensure import remember_layers
from imagekit.lock.file import own_files
from imagekit.lock.model import KnownLayer, Lock
from imagekit.oci.destinations import Destination
from imagekit.oci.image import Image
from imagekit.oci.index import ImageIndex, Named
from imagekit.oci.store import Store
from imagekit.planning.planner import make_plan
from imagekit.progress import Progress
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference
from imagekit.spec.model import ImageSpec


def build(
    spec: ImageSpec,
    spec_path: Path,
    locks: Sequence[Lock],
    to: Sequence[str],
    progress: Progress,
    *,
    push: bool = False,
    remember: bool = True,
) -> Built:
    """Build `spec` from its locks, and bring the result to each of `to`, or to the local store.

    `push` adds the spec's own registry, under the image's tag. Of several platforms there is one
    lock each, and the result is an index. Unless `remember` is false, the lock is left with the
    digests of the layers, for plans.
    """
    targets = [parse_target(text) for text in to]
    if push and spec.registry is None:
        raise BuildError("the spec names no registry to push to", hint="add `registry: HOST/TEAM`")
    request = BuildRequest(spec, spec_path, locks, targets, push, progress, os.environ)
    other = find_builder(request)
    if other is not None:
        return other.build(request)
    made = [_build_one(spec, spec_path, lock, locks, progress) for lock in locks]
    tag = common_tag([each.tag for each in made])
    images = tuple(each.image for each in made)
    named: Named = images[0] if len(images) == 1 else ImageIndex(images)
    name = f"{repository(spec)}:{tag}"
    if push:
        targets.append(RegistryReference.parse(name))
    client = RegistryClient(progress=progress)
    for target in targets:
        deliver(named, target, name, client)
    client.close()
    if not targets:
        Store().add(named, name)
    remember_image(spec_path, _where(targets, name, named))
    if remember:
        remember_layers(spec_path, locks, [each.layers for each in made])
    return Built(repository(spec), tag, named.digest, lambda: named)


def _where(targets: Sequence[Target], name: str, named: Named) -> str:
    """A place where the image is with its annotations, as `imagekit inspect` takes it, or ""."""
    if not targets:
        return f"{name}@{named.digest}"
    for target in targets:
        if isinstance(target, RegistryReference):
            return f"docker://{target.at(named.digest)}"
        if isinstance(target, Destination) and target.transport != "docker-archive":
            return str(replace(target, path=target.path.absolute()))
    return ""


@dataclass(frozen=True, slots=True)
class _Made:
    """Of one platform; `layers` are for the lock."""

    tag: str
    image: Image
    layers: tuple[KnownLayer, ...]


def _build_one(
    spec: ImageSpec, spec_path: Path, lock: Lock, locks: Sequence[Lock], progress: Progress
) -> _Made:
    folder = spec_path.parent
    base = open_base(spec, folder, lock, progress)
    interpreter = None
    if spec.compile_bytecode:
        interpreter = choose_interpreter(
            lock,
            [other for other in locks if other is not lock],
            lambda of: (base if of is lock else open_base(spec, folder, of, progress)).root(),
            lambda of: debian_interpreter(spec.builder_options, of, progress),
        )
    plan = make_plan(
        spec,
        folder,
        lock,
        base_layers=base.layer_count,
        leave_out=own_files(spec_path),
        made_by=native_identity(lock, bytecode=spec.compile_bytecode),
    )
    indexes = [*filter(None, [spec.pip_index]), *spec.pip_extra_index_url]
    image = build_image(lock, plan, base, interpreter, indexes, progress)
    found = [*base.layerings(bytecode=with_bytecode(plan)), *layerings(plan, base.interpreter)]
    return _Made(plan.tag, image, known_layers(found, image))
