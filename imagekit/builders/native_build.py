# SPDX-License-Identifier: Apache-2.0
"""The native builder's whole way: its images, where they go, and what is remembered of them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace

from imagekit.builders.base import open_base
from imagekit.builders.identity import native_identity
from imagekit.builders.known import KnownLayers, Repository, trusted_repositories
from imagekit.builders.latest import latest_image, remember_image
from imagekit.builders.materials import materials
from imagekit.builders.model import BuildRequest, Built
from imagekit.builders.naming import common_tag, platform_tag, repository
from imagekit.builders.native import Materials, building
from imagekit.builders.options import Options
from imagekit.builders.plans import plan_of
from imagekit.builders.recording import record_layers, vouched
from imagekit.builders.tagging import image_tag
from imagekit.builders.targets import Target, deliver
from imagekit.builders.uploads import Uploads
from imagekit.errors import BuildError
from imagekit.lock.ensure import remember_layers
from imagekit.lock.model import Lock
from imagekit.oci.destinations import Destination
from imagekit.oci.index import ImageIndex, Named
from imagekit.oci.store import Store
from imagekit.planning.planner import Plan
from imagekit.progress.named import named as named_progress
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference


def build_natively(request: BuildRequest, options: Options) -> Built:
    """The request's image, by this machine alone, in all of its places."""
    spec, progress, targets = request.spec, request.progress, [*request.to]
    client = options.client() if options.client else RegistryClient(progress=progress)
    trusted = tuple(Repository(client, each, progress) for each in trusted_repositories(spec))
    lazy = bool(targets or options.push) and all(map(_is_registry, targets))
    locks = [x for x in request.locks if options.platform in ("", x.target.platform)]
    if not locks:
        raise BuildError(f"the spec is not for {options.platform}")
    with contextlib.ExitStack() as stack:
        if options.client is None:
            stack.callback(client.close)
        known = [KnownLayers(x, trusted, lazy=lazy, rebuild=options.rebuild) for x in locks]
        prepared = [_prepared(request, *each) for each in zip(locks, known, strict=True)]
        tag = _tag(request, [plan.identity for plan, _ in prepared], options.platform)
        name = f"{repository(spec)}:{tag}"
        if options.push:
            targets.append(RegistryReference.parse(name))
        before = latest_image(request.spec_path)
        uploads = stack.enter_context(Uploads(targets, client, before))
        made = []
        for lock, (plan, materials) in zip(locks, prepared, strict=True):
            label = lock.target.platform if len(locks) > 1 else ""
            shown = stack.enter_context(named_progress(progress, label))
            image = building(lock, plan, materials, shown, uploads.begin)
            made.append(stack.enter_context(image))
        images = tuple(each.image for each in made)
        named: Named = images[0] if len(images) == 1 else ImageIndex(images)
        for target in targets:
            if isinstance(target, RegistryReference):
                uploads.finish(named, target)
            else:
                deliver(named, target, name, client)
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
