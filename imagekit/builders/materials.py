# SPDX-License-Identifier: Apache-2.0
"""What layers are made from, gathered for one platform of a request."""

from __future__ import annotations

from imagekit.builders.base import Base, open_base
from imagekit.builders.compiling import Interpreter, choose_interpreter
from imagekit.builders.known import KnownLayers
from imagekit.builders.layerings import with_bytecode
from imagekit.builders.model import BuildRequest
from imagekit.builders.native import Materials
from imagekit.lock.model import Lock
from imagekit.planning.planner import Plan
from imagekit.progress import Progress
from imagekit.spec.model import ImageSpec
from imagekit.spec.parent import lineage


def materials(
    request: BuildRequest, lock: Lock, base: Base, plan: Plan, known: KnownLayers
) -> Materials:
    """Those of `plan`; an interpreter is chosen where it has bytecode, and not yet started."""
    spec, progress, path = request.spec, request.progress, request.spec_path
    interpreter = None
    if with_bytecode(plan):
        interpreter = choose_interpreter(
            lock,
            [other for other in request.locks if other is not lock],
            lambda of: (base if of is lock else open_base(spec, path, of, progress)).root(),
            lambda of: _debian_interpreter(lineage(spec, path)[0].spec, of, progress),
        )
    return Materials(base, interpreter, request.supply(lock), known)


def _debian_interpreter(spec: ImageSpec, lock: Lock, progress: Progress) -> Interpreter | None:
    # Only other platforms need it, and it brings all that makes a base.
    from imagekit.builders.debian_root import debian_interpreter  # noqa: PLC0415

    return debian_interpreter(spec.builder_options, lock, progress)
