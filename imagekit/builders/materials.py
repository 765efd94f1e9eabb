# SPDX-License-Identifier: Apache-2.0
"""What layers are made from, gathered for one platform of a request."""

from __future__ import annotations

from imagekit.builders.base import Base, open_base
from imagekit.builders.compiling import Interpreter, choose_interpreter
from imagekit.builders.known import KnownLayers
from imagekit.builders.model import BuildRequest
from imagekit.builders.native import Materials
from imagekit.lock.model import Lock
from imagekit.progress import Progress
from imagekit.spec.model import ImageSpec


def materials(request: BuildRequest, lock: Lock, base: Base, known: KnownLayers) -> Materials:
    """Those of `lock`; an interpreter is chosen where bytecode is wanted, and not yet started."""
    spec, progress, folder = request.spec, request.progress, request.spec_path.parent
    interpreter = None
    if spec.compile_bytecode:
        interpreter = choose_interpreter(
            lock,
            [other for other in request.locks if other is not lock],
            lambda of: (base if of is lock else open_base(spec, folder, of, progress)).root(),
            lambda of: _debian_interpreter(spec, of, progress),
        )
    return Materials(base, interpreter, request.supply(lock), known)


def _debian_interpreter(spec: ImageSpec, lock: Lock, progress: Progress) -> Interpreter | None:
    # Only other platforms need it, and it brings all that makes a base.
    from imagekit.builders.debian_root import debian_interpreter  # noqa: PLC0415

    return debian_interpreter(spec.builder_options, lock, progress)
