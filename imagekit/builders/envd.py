# SPDX-License-Identifier: Apache-2.0
"""The envd builder: by the user's envd, on their Docker Engine or on a BuildKit worker.

envd makes the files. The settings of its image are those of a development environment, so they
are then replaced by the plan's: by the engine's BuildKit, or in the archive that a worker sends.
"""

from __future__ import annotations

import atexit
import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, final
from urllib.parse import urlsplit

from imagekit.builders.base import open_base
from imagekit.builders.base_image import base_image
from imagekit.builders.delivering import delivered_from_here
from imagekit.builders.engine_images import built_there, loaded_base, one_platform
from imagekit.builders.engine_places import delivered
from imagekit.builders.envd_context import lay_out
from imagekit.builders.envd_program import Envd, find_envd
from imagekit.builders.frontend import Prepared
from imagekit.builders.known import KnownLayers
from imagekit.builders.layerings import annotations_of, assembled, layerings
from imagekit.builders.materials import materials
from imagekit.builders.model import BuildRequest, Built
from imagekit.builders.native import building
from imagekit.builders.plans import plan_of
from imagekit.builders.resettled import engine_config, resettled
from imagekit.builders.serving import served
from imagekit.builders.steps import StepTasks
from imagekit.buildkit.endpoint import find_endpoint
from imagekit.buildkit.engine import Engine
from imagekit.buildkit.given import Given
from imagekit.buildkit.session import Offer
from imagekit.buildkit.solve import Request, solve
from imagekit.buildkit.transport import EngineTransport
from imagekit.errors import BuildError
from imagekit.layers.host import host_can_run
from imagekit.oci.destinations import Destination, read_image
from imagekit.oci.image import Image
from imagekit.oci.scratch import scratch_directory
from imagekit.paths import cache_directory
from imagekit.planning.dockerfile import refuse_commands_below
from imagekit.planning.envd import Piece, render_envd
from imagekit.planning.steps import InstallDebian, ListLibraries, RunCommands
from imagekit.registry.reference import is_loopback
from imagekit.values import frozen

_MADE = "localhost/imagekit/envd"
"""What the engine calls envd's image until it has its settings."""


@final
class EnvdBuilder:
    """Builds with the envd program that the user has."""

    def build(self, request: BuildRequest) -> Built:
        one_platform(request)
        prepared = _prepare(request)
        environ = request.environ
        address = request.spec.builder_options.get("address")
        engine = Engine(find_endpoint(environ)) if address is None else None
        with _scratch("envd") as work:
            home = work / "home"
            home.mkdir()
            endpoint = None if engine is None else engine.endpoint
            envd = Envd.open(find_envd(environ), home, environ, endpoint)
            build = _Build(prepared, envd, work)
            return build.by_worker(str(address)) if engine is None else build.by_engine(engine)


@frozen
class _Build:
    prepared: Prepared
    envd: Envd
    work: Path

    def by_engine(self, engine: Engine) -> Built:
        """On the user's Docker Engine, which keeps the image."""
        prepared, request = self.prepared, self.prepared.request
        tag = prepared.plan.tag
        made = f"{_MADE}:{tag}"
        engine.api_version()
        self.envd.use("moby-worker")
        base = base_image(prepared)
        loaded = loaded_base(engine, base, request.progress)
        with served(base) as name:
            engine.tag(loaded, *name.rsplit(":", 1))
            try:
                self._run(name, [f"--tag={made}"])
                response = self._settle(engine, made)
            finally:
                engine.untag(name)
                engine.untag(made)
        built = built_there(engine, request, tag, response)
        return delivered(engine, request, built, annotations_of(prepared.lock, prepared.plan))

    def by_worker(self, address: str) -> Built:
        """On a BuildKit worker, which sends the image here."""
        prepared = self.prepared
        self.envd.use(*_worker(address))
        folders = contextlib.ExitStack()
        atexit.register(folders.close)
        result = folders.enter_context(_scratch("built")) / "image.tar"
        with served(base_image(prepared)) as name:
            self._run(name, [f"--output=type=oci,dest={result}"])
        image = resettled(read_image(Destination("oci-archive", result)), self._settled())
        return delivered_from_here(prepared.request, image, prepared.plan.tag)

    def _run(self, base: str, arguments: list[str]) -> None:
        prepared = self.prepared
        self.envd.trust_plain_http(base.partition("/")[0])
        context = self.work / "context"
        context.mkdir()
        pieces = self._pieces(context)
        text = render_envd(prepared.plan, base, pieces, has_bash=self._base_has_bash())
        (context / "build.envd").write_text(text, "utf-8")
        platform = f"--platform={prepared.lock.target.platform}"
        self.envd.build(context, [platform, *arguments], StepTasks(prepared.request.progress))

    def _base_has_bash(self) -> bool:
        prepared = self.prepared
        debian = [step for step in prepared.laid if isinstance(step, InstallDebian)]
        added = [each["name"] for step in debian for each in _packages(step)]
        return "bash" in added or os.path.lexists(prepared.base.root() / "usr/bin/bash")

    def _pieces(self, context: Path) -> list[Piece]:
        """The layers that the native builder makes, but those of the base and of commands."""
        prepared = self.prepared
        others = (InstallDebian, ListLibraries, RunCommands)
        steps = tuple(step for step in prepared.plan.steps if not isinstance(step, others))
        plan = replace(prepared.plan, steps=steps)
        known = KnownLayers(prepared.lock, (), lazy=False, rebuild=False)
        gathered = materials(prepared.request, prepared.lock, prepared.base, plan, known)
        above = layerings(plan, prepared.base)
        with building(prepared.lock, plan, gathered, prepared.request.progress) as made:
            layers = made.image.layers
            return lay_out(context, above, layers[len(layers) - len(above) :])

    def _settled(self) -> Image:
        """An image without layers of its own, with the settings that are wanted."""
        prepared = self.prepared
        return assembled(prepared.lock, prepared.plan, prepared.base.image, [])

    def _settle(self, engine: Engine, made: str) -> dict[str, str]:
        """Name envd's image as the request's, with the settings that are wanted."""
        prepared = self.prepared
        settled = self._settled()
        given = Given(made, settled.platform, engine_config(settled))
        name = f"{prepared.request.reference}:{prepared.plan.tag}"
        transport = EngineTransport(engine)
        try:
            wanted = Request(exporter="moby", exporter_options={"name": name}, given=given)
            return solve(transport, wanted, Offer(), StepTasks(prepared.request.progress))
        finally:
            transport.close()


def _prepare(request: BuildRequest) -> Prepared:
    spec, lock, path = request.spec, request.locks[0], request.spec_path
    platform = lock.target.platform
    if not host_can_run(platform.partition("/")[2]):
        raise BuildError(
            f"envd builds for this machine's platform alone, and the spec is for {platform}",
            hint="`builder: native` and `builder: buildkit` build for others",
        )
    base = open_base(spec, path, lock, request.progress)
    plan = plan_of(spec, path, lock, base_layers=base.layer_count)
    refuse_commands_below(plan.steps)
    return Prepared(request, lock, base, plan)


def _packages(step: InstallDebian) -> Sequence[Mapping[str, Any]]:
    found: Any = step.section["packages"]
    return tuple(found)


def _worker(address: str) -> tuple[str, str]:
    """What envd calls a worker: the kind of its builder, and the address.

    Raises BuildError for one that can't be reached, or can't reach the base, which is served here.
    """
    parts = urlsplit(address)
    if parts.scheme == "unix" and parts.path.startswith("/"):
        return "unix", parts.path
    if parts.scheme == "tcp" and parts.port and is_loopback(parts.netloc):
        return "tcp", parts.netloc
    raise BuildError(
        f"envd can't build at {address!r}: the worker has to reach the base on this machine",
        hint="unix:///PATH or tcp://127.0.0.1:PORT; `builder: buildkit` uses workers elsewhere",
    )


def _scratch(name: str) -> contextlib.AbstractContextManager[Path]:
    return scratch_directory(cache_directory() / name)
