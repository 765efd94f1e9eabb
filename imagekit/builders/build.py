# SPDX-License-Identifier: Apache-2.0
"""From a spec and its locks to an image in its places."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from imagekit.answers import Answers
from imagekit.builders.auto import settled
from imagekit.builders.base import open_base
from imagekit.builders.identity import native_identity
from imagekit.builders.known import KnownLayers, Repository, trusted_repositories
from imagekit.builders.latest import latest_image, remember_image
from imagekit.builders.materials import materials
from imagekit.builders.model import BuildRequest, Built
from imagekit.builders.naming import common_tag, platform_tag, repository
from imagekit.builders.native import Materials, building
from imagekit.builders.plans import plan_of
from imagekit.builders.present import present_image
from imagekit.builders.recording import record_layers, vouched
from imagekit.builders.table import find_builder
from imagekit.builders.tagging import image_tag
from imagekit.builders.targets import Target, deliver, parse_target
from imagekit.errors import BuildError
from imagekit.lock.ensure import remember_layers
from imagekit.lock.model import Lock
from imagekit.oci.destinations import Destination
from imagekit.oci.index import ImageIndex, Named
from imagekit.oci.store import Store
from imagekit.planning.planner import Plan
from imagekit.progress import Progress
from imagekit.progress.named import named as named_progress
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference
from imagekit.spec.model import ImageSpec
from imagekit.values import frozen


@frozen
class Options:
    """How a build is done.

    Attributes:
        push: to the spec's own registry too, under the image's tag.
        remember: leave what the layers came to in the lock, for plans and other machines.
        rebuild: take no layer from a registry; make all that this machine has not made, and
            compare them with the lock's.
        force: build though the registry has the image; the native builder always does.
        platform: build the image of this one alone, under the tag that `indexing` looks for.
        allow_build: let any package be built from source, whatever the spec says.
        client: asks and fills registries for several builds, so that what they share is sent once;
            the caller closes it.
        answers: keep what several builds ask alike while they make their locks.
    """

    push: bool = False
    remember: bool = True
    rebuild: bool = False
    force: bool = False
    platform: str = ""
    allow_build: bool = False
    client: RegistryClient | None = None
    answers: Answers | None = None


def build(
    spec: ImageSpec,
    spec_path: Path,
    locks: Sequence[Lock],
    to: Sequence[str],
    progress: Progress,
    options: Options | None = None,
) -> Built:
    """Build `spec` from its locks, and bring the result to each of `to`, or to the local store.

    Of several platforms there is one lock each, and the result is an index. Layers that go to a
    registry which has them are not brought here: they can't be opened in what is returned.
    """
    chosen = options or Options()
    spec = settled(spec, spec_path, locks, os.environ, progress)
    targets = [parse_target(text) for text in to]
    if chosen.push and spec.registry is None:
        raise BuildError("the spec names no registry to push to", hint="add `registry: HOST/TEAM`")
    request = BuildRequest(spec, spec_path, locks, targets, chosen.push, progress, os.environ)
    other = find_builder(request)
    if other is None:
        return _native(request, chosen)
    if chosen.platform:
        raise BuildError(f"the builder {spec.builder} builds all platforms at once")
    there = None if chosen.force else present_image(request)
    return there or other.build(request)


def _native(request: BuildRequest, options: Options) -> Built:
    spec, progress, targets = request.spec, request.progress, [*request.to]
    client = options.client or RegistryClient(progress=progress)
    trusted = tuple(Repository(client, each, progress) for each in trusted_repositories(spec))
    lazy = bool(targets or options.push) and all(map(_is_registry, targets))
    locks = [x for x in request.locks if options.platform in ("", x.target.platform)]
    if not locks:
        raise BuildError(f"the spec is not for {options.platform}")
    with contextlib.ExitStack() as stack:
        if options.client is None:
            stack.callback(client.close)
        made, identities = [], []
        for lock in locks:
            known = KnownLayers(lock, trusted, lazy=lazy, rebuild=options.rebuild)
            plan, materials = _prepared(request, lock, known)
            label = lock.target.platform if len(locks) > 1 else ""
            shown = stack.enter_context(named_progress(progress, label))
            made.append(stack.enter_context(building(lock, plan, materials, shown)))
            identities.append(plan.identity)
        images = tuple(each.image for each in made)
        named: Named = images[0] if len(images) == 1 else ImageIndex(images)
        tag = _tag(request, identities, options.platform)
        name = f"{repository(spec)}:{tag}"
        if options.push:
            targets.append(RegistryReference.parse(name))
        for target in targets:
            deliver(named, target, name, client, before=latest_image(request.spec_path))
        if not targets:
            Store().add(named, name)
        record_layers(made, trusted, targets)
    remember_image(request.spec_path, _where(targets, name, named))
    if options.remember and not options.platform:
        remember_layers(request.spec_path, request.locks, [vouched(each) for each in made])
    return Built(repository(spec), tag, named.digest, lambda: named)


def _tag(request: BuildRequest, identities: Sequence[str], platform: str) -> str:
    if not platform:
        return common_tag(request.spec, identities)
    return platform_tag(image_tag(request.spec, request.spec_path, request.locks), platform)


def _is_registry(target: Target) -> bool:
    return isinstance(target, RegistryReference)


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


def _prepared(request: BuildRequest, lock: Lock, known: KnownLayers) -> tuple[Plan, Materials]:
    spec, path = request.spec, request.spec_path
    base = open_base(spec, path, lock, request.progress)
    made_by = native_identity(lock, bytecode=spec.compile_bytecode)
    plan = plan_of(spec, path, lock, base_layers=base.layer_count, made_by=made_by)
    return plan, materials(request, lock, base, plan, known)
