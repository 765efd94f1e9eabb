# SPDX-License-Identifier: Apache-2.0
"""The docker builder: by the BuildKit inside the user's Docker Engine, which keeps the image."""

from __future__ import annotations

import contextlib
from typing import final

from imagekit.builders.base_image import base_image
from imagekit.builders.engine_images import built_there, loaded_base, one_platform
from imagekit.builders.frontend import Prepared, frontend_input, prepare, registry_base
from imagekit.builders.layerings import annotations_of
from imagekit.builders.model import BuildRequest, Built
from imagekit.builders.steps import StepTasks
from imagekit.buildkit.endpoint import find_endpoint
from imagekit.buildkit.engine import Engine
from imagekit.buildkit.solve import Request, solve
from imagekit.buildkit.transport import EngineTransport
from imagekit.buildkit.workers import describe
from imagekit.errors import BuildError
from imagekit.layers.host import host_can_run

_LINK_SINCE = (1, 42)
"""The API of Docker Engine 23, the first whose BuildKit knows `COPY --link`."""


@final
class DockerBuilder:
    """Builds in the engine that the docker program would use."""

    def build(self, request: BuildRequest) -> Built:
        one_platform(request)
        prepared = prepare(request, request.locks[0])
        engine = Engine(find_endpoint(request.environ))
        response = self._solve(engine, prepared, f"{request.reference}:{prepared.plan.tag}")
        built = built_there(engine, request, prepared.plan.tag, response)
        if not request.to and not request.push:
            return built
        from imagekit.builders.engine_places import delivered  # noqa: PLC0415 - asks registries

        return delivered(engine, request, built, annotations_of(prepared.lock, prepared.plan))

    def _solve(self, engine: Engine, prepared: Prepared, name: str) -> dict[str, str]:
        link = engine.api_version() >= _LINK_SINCE
        _refuse_platform(engine, prepared.lock.target.platform)
        given = frontend_input(prepared, _base_name(engine, prepared), link=link)
        wanted = Request(given.options, "moby", {"name": name}, entitlements=given.entitlements)
        # Not sooner: engines close a connection on which nothing is said.
        with contextlib.closing(EngineTransport(engine)) as transport:
            return solve(transport, wanted, given.offer, StepTasks(prepared.request.progress))


def _refuse_platform(engine: Engine, platform: str) -> None:
    """Say that the engine can't run programs for `platform` before the first of them fails.

    One on this machine needs not be asked for what this machine can run.
    """
    url = engine.endpoint.url
    if url.startswith("unix://") and host_can_run(platform.partition("/")[2]):
        return
    with contextlib.closing(EngineTransport(engine)) as transport:
        lacks = describe(transport).lacks_platform(platform)
    if lacks:
        raise BuildError(
            f"the Docker Engine at {url}: {lacks[0]}",
            hint="`builder: native` makes images for other processors where nothing has to be run;"
            " binfmt_misc with qemu-user lets an engine run what is for them",
        )


def _base_name(engine: Engine, prepared: Prepared) -> str:
    """What FROM names: a registry's image, which the engine pulls, or one that is loaded first."""
    named = registry_base(prepared)
    if named is not None:
        return named
    return loaded_base(engine, base_image(prepared, jobs=False), prepared.request.progress)
