# SPDX-License-Identifier: Apache-2.0
"""The buildkit builder: by workers at addresses that the spec or the environment names.

The image comes back as an OCI archive and goes where any other goes from here; one that is only
pushed is pushed by the worker itself.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import final

from imagekit.builders.base_image import base_image
from imagekit.builders.delivering import all_targets, delivered_from_here
from imagekit.builders.frontend import (
    SENT_BASE,
    Input,
    Prepared,
    frontend_input,
    prepare,
    registry_base,
)
from imagekit.builders.layerings import annotations_of
from imagekit.builders.model import BuildRequest, Built
from imagekit.builders.naming import common_tag
from imagekit.builders.steps import StepTasks
from imagekit.builders.worker_options import addresses, certificates, exports, imports
from imagekit.buildkit.solve import Request, solve
from imagekit.buildkit.transport import Transport, open_transport
from imagekit.buildkit.workers import describe
from imagekit.errors import BuildError
from imagekit.oci.destinations import Destination, read_image
from imagekit.oci.image import Image
from imagekit.oci.index import ImageIndex, Named
from imagekit.oci.scratch import scratch_directory
from imagekit.paths import cache_directory
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference, is_loopback
from imagekit.values import frozen


@final
class BuildkitBuilder:
    """Builds each platform on its own worker."""

    def build(self, request: BuildRequest) -> Built:
        options = request.spec.builder_options
        prepared = [prepare(request, lock) for lock in request.locks]
        platforms = [each.lock.target.platform for each in prepared]
        places = addresses(options, request.environ, platforms)
        tls = certificates(options, request.spec_path.parent)
        with contextlib.ExitStack() as opened:
            workers: dict[str, Transport] = {}
            for address in dict.fromkeys(places.values()):
                workers[address] = open_transport(address, request.environ, tls)
                opened.callback(workers[address].close)
            jobs = [
                _Platform(each, workers[places[each.lock.target.platform]]) for each in prepared
            ]
            _refuse(jobs)
            tag = common_tag(request.spec, [each.plan.identity for each in prepared])
            targets = all_targets(request, tag)
            if len(jobs) == 1 and len(targets) == 1 and isinstance(targets[0], RegistryReference):
                return _pushed(jobs[0], targets[0], tag)
            if options.get("provenance"):
                raise BuildError(
                    "provenance is attested by a worker that pushes the image itself",
                    hint="one platform, and `--push` alone or one `--to docker://` alone",
                )
            images = tuple(each.image() for each in jobs)
        named: Named = images[0] if len(images) == 1 else ImageIndex(images)
        return delivered_from_here(request, named, tag)


@frozen
class _Platform:
    """One platform's build, and the worker that makes it."""

    prepared: Prepared
    worker: Transport

    def image(self) -> Image:
        """The image, built and sent here; its file stays until this process ends."""
        folders = contextlib.ExitStack()
        atexit.register(folders.close)
        folder = folders.enter_context(scratch_directory(cache_directory() / "built"))
        path = folder / "image.tar"
        with path.open("wb") as stream:
            given = self._input()
            self._solve(
                replace(given, offer=replace(given.offer, result=stream)),
                "oci",
                self._annotations(),
            )
        return read_image(Destination("oci-archive", path))

    def push(self, target: RegistryReference) -> str:
        """Build, and let the worker push; returns the digest."""
        exporter = {
            "name": f"{target.host}/{target.repository}:{target.tag}",
            "push": "true",
            "oci-mediatypes": "true",
            **self._annotations(),
        }
        if is_loopback(target.server):
            exporter["registry.insecure"] = "true"
        given = self._input()
        wanted = self.prepared.request.spec.builder_options.get("provenance")
        if wanted:
            given = replace(given, options={**given.options, "attest:provenance": f"mode={wanted}"})
        return self._solve(given, "image", exporter)["containerimage.digest"]

    def _annotations(self) -> dict[str, str]:
        found = annotations_of(self.prepared.lock, self.prepared.plan)
        return {f"annotation.{name}": value for name, value in found.items()}

    def _input(self) -> Input:
        named = registry_base(self.prepared)
        if named is not None:
            return frontend_input(self.prepared, named, link=True)
        base = base_image(self.prepared, jobs=False)
        given = frontend_input(self.prepared, SENT_BASE, link=True)
        options = {**given.options, f"context:{SENT_BASE}": f"oci-layout://imagekit@{base.digest}"}
        return replace(given, offer=replace(given.offer, images=[base]), options=options)

    def _solve(self, given: Input, exporter: str, attributes: Mapping[str, str]) -> dict[str, str]:
        request = self.prepared.request
        options, folder = request.spec.builder_options, request.spec_path.parent
        platform = self.prepared.lock.target.platform if len(request.locks) > 1 else ""
        wanted = Request(
            given.options,
            exporter,
            attributes,
            imports(options.get("cache_from", ""), folder, platform),
            exports(options.get("cache_to", ""), folder, platform),
            given.entitlements,
        )
        return solve(self.worker, wanted, given.offer, StepTasks(request.progress))


def _refuse(jobs: list[_Platform]) -> None:
    """Say all that the workers can't do before the first one builds."""
    lacks = []
    for job in jobs:
        platform = job.prepared.lock.target.platform
        found = describe(job.worker).lacks(platform)
        lacks += [f"the worker at {job.worker.address}: {line}" for line in found]
    if lacks:
        raise BuildError(
            "\n".join(dict.fromkeys(lacks)),
            hint="`builder: docker` leaves images in the engine; `builder: native` needs no worker",
        )


def _pushed(job: _Platform, target: RegistryReference, tag: str) -> Built:
    digest = job.push(target)
    client = RegistryClient()
    read = functools.cache(functools.partial(client.pull_all, target.at(digest)))
    return Built(job.prepared.request.reference, tag, digest, read)
