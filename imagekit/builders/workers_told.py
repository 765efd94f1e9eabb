# SPDX-License-Identifier: Apache-2.0
"""What plans say of those who would build: they are asked before anything is built."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from imagekit.builders.engine_images import ONE_PLATFORM
from imagekit.builders.worker_options import addresses, certificates, exports, imports
from imagekit.buildkit.endpoint import Certificates, find_endpoint
from imagekit.buildkit.engine import Engine
from imagekit.buildkit.transport import EngineTransport, Transport, open_transport
from imagekit.buildkit.workers import Worker, describe
from imagekit.errors import BuildError, EngineError, ImagekitError
from imagekit.spec.model import ImageSpec

_SECONDS = 10.0


def workers_told(
    spec: ImageSpec, folder: Path, platforms: Sequence[str], environ: Mapping[str, str]
) -> tuple[str, ...]:
    """What the builder of `spec` can't do of it, a line each; or that it can't be asked.

    `folder` is the spec's. Builders that need neither engine nor worker say nothing.
    """
    ask = {"docker": _engine_lacks, "envd": _envd_lacks, "buildkit": _workers_lack}
    if spec.builder not in ask:
        return ()
    try:
        found = ask[spec.builder](spec, folder, platforms, environ)
        return tuple(dict.fromkeys(f"the build will stop: {line}" for line in found))
    except BuildError as error:
        return (f"the build will stop: {error.message}",)
    except ImagekitError as error:
        return (f"what builder {spec.builder} can do here is not known: {error.message}",)


def _engine_lacks(
    spec: ImageSpec, folder: Path, platforms: Sequence[str], environ: Mapping[str, str]
) -> Iterator[str]:
    del spec, folder
    if len(platforms) > 1:
        yield ONE_PLATFORM
        return
    endpoint = find_endpoint(environ)
    engine = Engine(endpoint)
    engine.api_version(_SECONDS)
    for line in _asked(EngineTransport(engine)).lacks_platform(platforms[0]):
        yield f"the Docker Engine at {endpoint.url}: {line}"


def _envd_lacks(
    spec: ImageSpec, folder: Path, platforms: Sequence[str], environ: Mapping[str, str]
) -> Iterator[str]:
    from imagekit.builders.envd_program import find_envd  # noqa: PLC0415 - for this builder alone

    find_envd(environ)
    address = spec.builder_options.get("address")
    if address is None or len(platforms) > 1:
        yield from _engine_lacks(spec, folder, platforms, environ)
        return
    worker = _at(address, environ, None)
    yield from _prefixed(address, worker.lacks_platform(platforms[0]))


def _workers_lack(
    spec: ImageSpec, folder: Path, platforms: Sequence[str], environ: Mapping[str, str]
) -> Iterator[str]:
    options = spec.builder_options
    imports(options.get("cache_from", ""), folder)
    exports(options.get("cache_to", ""), folder)
    tls = certificates(options, folder)
    places = addresses(options, environ, platforms)
    workers = {each: _at(each, environ, tls) for each in dict.fromkeys(places.values())}
    for platform, address in places.items():
        yield from _prefixed(address, workers[address].lacks(platform))


def _at(address: str, environ: Mapping[str, str], tls: Certificates | None) -> Worker:
    return _asked(open_transport(address, environ, tls))


def _asked(transport: Transport) -> Worker:
    """What it says of itself; EngineError where it does not answer."""
    with contextlib.closing(transport):
        try:
            return describe(transport, _SECONDS)
        except BuildError as error:
            raise EngineError(error.message, hint=error.hint) from error


def _prefixed(address: str, lines: Sequence[str]) -> Iterator[str]:
    return (f"the worker at {address}: {line}" for line in lines)
