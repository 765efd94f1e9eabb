# SPDX-License-Identifier: Apache-2.0
"""Which interpreter compiles an image's bytecode, and the one compiler that all layers share.

Bytecode follows from the interpreter's version and not from its processor, so the build of the same
Python for this machine compiles for the other platform too: docs/decisions/0003-bytecode.md.
"""

from __future__ import annotations

import contextlib
import platform
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from imagekit.errors import BuildError, IntegrityError
from imagekit.layers.host import host_can_run
from imagekit.lock.model import Lock
from imagekit.progress import Progress
from imagekit.values import frozen

if TYPE_CHECKING:
    from imagekit.layers.bytecode import BytecodeCompiler

_REBUILD = re.compile(r"\+b\d+$")


@frozen
class Interpreter:
    """`root` unpacks the base that it stands in, which may take long; `python` is its path there.

    `label` is empty for the image's own, and else says for people which one it is; `identity` is
    what the lock says that it is (`lock/interpreter.py`), or empty.
    """

    root: Callable[[], Path]
    python: str
    label: str = ""
    identity: str = ""


def runs_here(platform: str) -> bool:
    return host_can_run(platform.partition("/")[2])


def same_interpreter(one: Lock, other: Lock) -> bool:
    """Whether two locks pin the same Python for two platforms."""
    return interpreter_name(one.base, one.target.python_version) == interpreter_name(
        other.base, other.target.python_version
    )


def interpreter_name(base: Mapping[str, Any], python_version: str) -> str:
    """What decides which bytecode the interpreter of a lock's base writes.

    Of Debian it is the version of its source packages: `+bN` says that the same source was built
    again. Of an image it is the image's name with the interpreter's version.
    """
    if base["kind"] != "debian":
        return f"{base['reference']} {python_version}"
    python = [package for package in base["packages"] if "python" in package["name"]]
    return " ".join(sorted(f"{p['name']}={_REBUILD.sub('', p['version'])}" for p in python))


def choose_interpreter(
    lock: Lock,
    others: Sequence[Lock],
    root: Callable[[Lock], Path],
    elsewhere: Callable[[Lock], Interpreter | None],
) -> Interpreter:
    """The image's own where this machine runs it, else the same one for this machine.

    Args:
        lock: of the image.
        others: the same spec's locks for other platforms.
        root: unpacks the base of a lock.
        elsewhere: finds an interpreter that no lock pins.

    Raises:
        BuildError: there is none.
    """
    target = lock.target
    if runs_here(target.platform):
        identity = str(lock.base.get("interpreter", ""))
        return Interpreter(partial(root, lock), target.python_path, identity=identity)
    for other in others:
        if runs_here(other.target.platform) and same_interpreter(lock, other):
            label = f"bytecode for {target.platform} is made by {other.target.platform}'s Python"
            return Interpreter(partial(root, other), other.target.python_path, label)
    found = elsewhere(lock)
    if found is not None:
        return found
    raise BuildError(
        f"this machine can't run {target.platform}, and bytecode is made by the base's interpreter",
        hint="name this machine's platform too (`platform: [linux/amd64, linux/arm64]`) if the "
        "base has the same Python for it, build there, or set `compile_bytecode: false`",
    )


@final
class SharedCompiler:
    """One compiler for all layers, started when the first of them needs it."""

    def __init__(self, interpreter: Interpreter, progress: Progress) -> None:
        self._interpreter = interpreter
        self._progress = progress
        self._guard = threading.RLock()
        self._root: Path | None = None
        self._identity: str | None = None
        self._started: BytecodeCompiler | None = None
        self._failed: Exception | None = None

    def identity(self) -> str | None:
        """What the lock says that the interpreter is, and `get` holds it to that.

        Where it says nothing, of the interpreter as it lies here, unpacked and not started; None
        where that is unknown.
        """
        if self._interpreter.identity:
            return self._interpreter.identity
        self.unpack()
        return self._identity

    def unpack(self) -> None:
        """Have the interpreter lie here, so that `get` only starts it.

        Raises IntegrityError where the lock says that it is another one.
        """
        with self._trying():
            self._unpacked()

    def get(self) -> BytecodeCompiler:
        """The compiler, started; raises as `unpack` does, and BuildError where it can't be."""
        with self._trying():
            if self._started is None:
                self._started = self._start()
            return self._started

    def close(self) -> None:
        if self._started is not None:
            self._started.__exit__(None, None, None)

    @contextlib.contextmanager
    def _trying(self) -> Iterator[None]:
        """One at a time; what failed once is not tried again."""
        with self._guard:
            if self._failed is not None:
                raise self._failed
            try:
                yield
            except Exception as error:
                self._failed = error
                raise

    def _start(self) -> BytecodeCompiler:
        from imagekit.layers.bytecode import BytecodeCompiler  # noqa: PLC0415 - plans compile none

        return BytecodeCompiler(self._unpacked(), self._interpreter.python).__enter__()

    def _unpacked(self) -> Path:
        if self._root is not None:
            return self._root
        chosen = self._interpreter
        if chosen.label:
            self._progress.task(chosen.label).done()
        root = chosen.root()
        self._identity = _identity(root, chosen)
        self._root = root
        return root


def unpacked_identity(root: Path, python: str) -> str | None:
    """What the interpreter at `python` of the base in `root` is; None where that is unknown."""
    from imagekit.lock.interpreter import (  # noqa: PLC0415 - most plans know all layers
        UnpackedFiles,
        interpreter_identity,
    )

    return interpreter_identity(UnpackedFiles(root), python, platform.machine())


def _identity(root: Path, chosen: Interpreter) -> str | None:
    found = unpacked_identity(root, chosen.python)
    if chosen.identity not in ("", found):
        raise IntegrityError(
            f"the base's {chosen.python} is {found}, and the lock says {chosen.identity}",
            hint="`imagekit lock` takes the base as it is now",
        )
    return found
