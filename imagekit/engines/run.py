# SPDX-License-Identifier: Apache-2.0
"""Runs an image with the first engine that works here.

A convenience for trying an image where it was built, not a security boundary.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from imagekit.engines.container import ContainerEngine, Docker, Podman
from imagekit.engines.model import Engine, Mount, Request
from imagekit.errors import EngineError
from imagekit.oci.image import Image
from imagekit.oci.scratch import scratch_directory
from imagekit.paths import cache_directory

ENGINES: Mapping[str, str] = {
    "docker": "imagekit.engines.container:Docker",
    "podman": "imagekit.engines.container:Podman",
    "userns": "imagekit.engines.namespaces:Namespaces",
    "chroot": "imagekit.engines.namespaces:Chroot",
}
"""In the order in which `auto` tries them."""

CONTAINER_ENGINES: Mapping[str, type[ContainerEngine]] = {"docker": Docker, "podman": Podman}

_ANYONE_WRITES = 0o777


def run_image(
    image: Image,
    arguments: Sequence[str],
    *,
    engine: str = "auto",
    mounts: Sequence[Mount] = (),
    environment: Mapping[str, str] | None = None,
    workdir: str | None = None,
) -> int:
    """Run the image's ENTRYPOINT with `arguments`; returns its exit code.

    The program has our stdin, stdout and stderr, and gets the signals that we get.

    Args:
        image: the image to run.
        arguments: follow the ENTRYPOINT; none leaves the image's CMD there.
        engine: a key of `ENGINES`, or `auto` for the first that works.
        mounts: folders that the program sees.
        environment: laid over the image's own.
        workdir: instead of the image's.

    Raises:
        EngineError: nothing here can run the image; the message says what is missing.
    """
    request = Request(image, tuple(arguments), tuple(mounts), dict(environment or {}), workdir)
    return choose(engine).run(request)


def choose(name: str) -> Engine:
    """The engine of that name, or the first that works; probed."""
    if name != "auto" and name not in ENGINES:
        raise EngineError(f"no engine {name!r}", hint=f"one of: auto, {', '.join(ENGINES)}")
    reasons = []
    for candidate in ENGINES if name == "auto" else (name,):
        engine = load_engine(candidate, os.environ)
        reason = engine.probe()
        if reason is None:
            return engine
        reasons.append(f"{candidate}: {reason}")
    raise EngineError(
        "nothing here can run an image:\n  " + "\n  ".join(reasons),
        hint="make one of these work; docs/reference/engines.md says what each needs",
    )


def choose_container_engine(name: str) -> ContainerEngine:
    """Docker or Podman, or with `auto` the first of them that works; probed."""
    candidates = CONTAINER_ENGINES if name == "auto" else {name: CONTAINER_ENGINES[name]}
    reasons = []
    for candidate, kind in candidates.items():
        engine = kind(os.environ)
        reason = engine.probe()
        if reason is None:
            return engine
        reasons.append(f"{candidate}: {reason}")
    raise EngineError(
        "no engine here can run a pod:\n  " + "\n  ".join(reasons),
        hint="make one of these work; docs/reference/engines.md says what each needs",
    )


@contextlib.contextmanager
def output_directory() -> Iterator[Path]:
    """A folder to mount for a program's outputs, gone at the end of the block.

    Whatever user the image has can write in it, and no other user of this machine can reach it.
    """
    with scratch_directory(cache_directory() / "runs") as private:
        shared = private / "outputs"
        shared.mkdir()
        shared.chmod(_ANYONE_WRITES)
        yield shared


def load_engine(name: str, environ: Mapping[str, str]) -> Engine:
    """The engine of that name, not probed."""
    module, _, attribute = ENGINES[name].partition(":")
    engine: Engine = getattr(importlib.import_module(module), attribute)(environ)
    return engine
