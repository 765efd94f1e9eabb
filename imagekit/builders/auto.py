# SPDX-License-Identifier: Apache-2.0
"""`builder: auto`: which builder it comes to on this machine, and why.

The native one, unless something has to be run in the image that this machine can't run: then what
the user has, in the order in which it is likely to be able to.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from imagekit.builders.unrunnable import lacks_to_run
from imagekit.errors import BuildError, EngineError
from imagekit.lock.file import lock_path, read
from imagekit.lock.model import Lock
from imagekit.progress import Progress
from imagekit.spec.builder_rules import AUTO, OPTIONS
from imagekit.spec.model import ImageSpec
from imagekit.spec.parent import lineage


def settled(
    spec: ImageSpec,
    path: Path,
    locks: Sequence[Lock],
    environ: Mapping[str, str] = os.environ,
    progress: Progress | None = None,
) -> ImageSpec:
    """The spec at `path` with the builder that `auto` comes to; any other spec as it is.

    `progress` is told which one, and why.
    """
    if spec.builder != AUTO:
        return spec
    name, why = choose(spec, path, locks, environ)
    if progress is not None:
        progress.task(f"builder: auto is {name}, {why}").done()
    options = {k: v for k, v in spec.builder_options.items() if k in OPTIONS[name]}
    return dataclasses.replace(spec, builder=name, builder_options=options)


def choose(
    spec: ImageSpec, path: Path, locks: Sequence[Lock], environ: Mapping[str, str]
) -> tuple[str, str]:
    """The builder's name, and the reason as the rest of a sentence."""
    lacking = _native_lacks(spec, path, locks, environ)
    if lacking is None:
        return "native", "which can do all of this spec"
    if order := _order_lacks(spec, path, locks):
        return "native", f"though {lacking}: {order}"
    from imagekit.builders.worker_options import ADDRESS_VARIABLE  # noqa: PLC0415 - loads gRPC

    if spec.builder_options.get("address") or environ.get(ADDRESS_VARIABLE):
        return "buildkit", f"as {lacking}, and a BuildKit worker is named"
    reason = _engine_lacks(locks, environ)
    if reason is None:
        return "docker", f"as {lacking}, and a Docker Engine answers"
    return "native", f"though {lacking}: no BuildKit worker is named, and {reason}"


def _native_lacks(
    spec: ImageSpec, path: Path, locks: Sequence[Lock], environ: Mapping[str, str]
) -> str | None:
    below = lineage(spec, path)[:-1]
    runs = _runs(spec, locks) or any(
        _runs(each.spec, read(lock_path(each.path)) or ()) for each in below
    )
    if not runs:
        return None
    reasons = (lacks_to_run(lock.target.platform, environ) for lock in locks)
    return next((reason for reason in reasons if reason is not None), None)


def _order_lacks(spec: ImageSpec, path: Path, locks: Sequence[Lock]) -> str | None:
    """What keeps other builders from running commands where this spec has them."""
    from imagekit.builders.plans import plan_of  # noqa: PLC0415 - few specs come here
    from imagekit.planning.dockerfile import refuse_commands_below  # noqa: PLC0415 - as above

    try:
        for lock in locks:
            refuse_commands_below(plan_of(spec, path, lock, base_layers=0).steps)
    except BuildError as error:
        return error.message
    return None


def _runs(spec: ImageSpec, locks: Sequence[Lock]) -> bool:
    """Whether a spec by itself has something run in its image."""
    return bool(spec.commands) or any(
        lock.apt is not None and lock.apt["scripts"] for lock in locks
    )


def _engine_lacks(locks: Sequence[Lock], environ: Mapping[str, str]) -> str | None:
    from imagekit.buildkit.endpoint import find_endpoint  # noqa: PLC0415 - plans ask no engine

    if len(locks) > 1:
        return "a Docker Engine keeps images of one platform"
    try:
        find_endpoint(environ).connect().close()
    except EngineError as error:
        return error.message
    return None
