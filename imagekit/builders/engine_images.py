# SPDX-License-Identifier: Apache-2.0
"""Images in the user's Docker Engine: bases brought there, and what was built brought on."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import threading
from collections.abc import Mapping
from typing import BinaryIO, cast

from imagekit.builders.model import BuildRequest, Built
from imagekit.buildkit.engine import Engine
from imagekit.errors import BuildError
from imagekit.oci.digest import hexadecimal
from imagekit.oci.image import Image
from imagekit.paths import cache_directory
from imagekit.progress import Progress

_BASE = "localhost/imagekit/base"
ONE_PLATFORM = "a Docker Engine keeps images of one platform, and the spec names several"


def one_platform(request: BuildRequest) -> None:
    """Raise BuildError where the request is for several."""
    if len(request.locks) > 1:
        raise BuildError(
            ONE_PLATFORM,
            hint="`builder: buildkit` and `builder: native` build them all",
        )


def loaded_base(engine: Engine, image: Image, progress: Progress) -> str:
    """The name of `image` in the engine, which is given it unless it has it."""
    name = f"{_BASE}:{hexadecimal(image.config_digest)[:32]}"
    if engine.find(name) is None:
        task = progress.task("loading the base into the Docker Engine")
        _load(engine, image, name)
        task.done()
    return name


def built_there(
    engine: Engine, request: BuildRequest, tag: str, response: Mapping[str, str]
) -> Built:
    """What an engine's exporter said of an image that it keeps as the request's, with `tag`."""
    digest = response.get("containerimage.digest", "")
    # Without the containerd image store an engine has no manifests, and says the ID here.
    has_manifest = response.get("containerimage.config.digest", digest) != digest
    name = f"{request.reference}:{tag}"
    return Built(
        request.reference,
        tag,
        digest if has_manifest else "",
        functools.cache(functools.partial(_saved, engine, name)),
        digest,
    )


def _load(engine: Engine, image: Image, name: str) -> None:
    from imagekit.oci.archive import stream_docker_archive  # noqa: PLC0415 - once per base

    reading, writing = os.pipe()

    def write() -> None:
        # The engine may stop reading; it says why.
        with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "wb") as stream:
            stream_docker_archive(image, stream, [name])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with os.fdopen(reading, "rb") as stream:
            engine.load(stream)
    finally:
        writer.join()


def _saved(engine: Engine, name: str) -> Image:
    """The image out of the engine; its file stays until this process ends."""
    from imagekit.oci.docker_archive import read_docker_archive  # noqa: PLC0415 - seldom asked for
    from imagekit.oci.scratch import scratch_directory  # noqa: PLC0415

    folders = contextlib.ExitStack()
    atexit.register(folders.close)
    path = folders.enter_context(scratch_directory(cache_directory() / "saved")) / "image.tar"
    with engine.save(name) as response, path.open("wb") as stream:
        shutil.copyfileobj(cast("BinaryIO", response), stream, 1 << 20)
    return read_docker_archive(path)
