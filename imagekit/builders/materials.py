# SPDX-License-Identifier: Apache-2.0
"""What layers are made from, gathered for one platform of a request."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

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
    interpreter = None
    if with_bytecode(plan):
        interpreter = interpreter_for(
            lock, request.locks, request.spec, request.spec_path, request.progress, base=base
        )
    return Materials(base, interpreter, request.supply(lock), known)


def interpreter_for(
    lock: Lock,
    locks: Sequence[Lock],
    spec: ImageSpec,
    path: Path,
    progress: Progress,
    *,
    base: Base | None = None,
) -> Interpreter:
    """Who compiles the bytecode of `lock`, one of `locks`; nothing is unpacked or asked for yet.

    Raises BuildError where nobody can. `base` is that of `lock`, where it is open already.
    """

    def root(of: Lock) -> Path:
        opened = base if of is lock else None
        return (opened or open_base(spec, path, of, progress)).interpreter_root(
            of.target.python_path
        )

    return choose_interpreter(
        lock,
        [other for other in locks if other is not lock],
        root,
        lambda of: _debian_interpreter(lineage(spec, path)[0].spec, of, progress),
    )


def _debian_interpreter(spec: ImageSpec, lock: Lock, progress: Progress) -> Interpreter | None:
    # Only other platforms need it, and it brings all that makes a base.
    from imagekit.builders.debian_root import debian_interpreter  # noqa: PLC0415

    return debian_interpreter(spec.builder_options, lock, progress)
