# SPDX-License-Identifier: Apache-2.0
"""Who uses what in the cache, so that it can be cleaned while others work.

An entry's access time says when it was last asked for; it is set here, as file systems may not
keep it. A process that may use entries is registered by a file that it holds locked: `imagekit gc`
leaves alone what was asked for since the oldest of them began. Asking and removing exclude each
other by one lock, so what was found is there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from imagekit.paths import cache_directory

_LOCK = "usage.lock"
_RUNNING = "running"


def used(path: Path) -> bool:
    """Note that the entry at `path` is used now; False where there is none.

    It then stays as long as this process is registered by `running`.
    """
    with _locked(fcntl.LOCK_SH):
        try:
            modified = path.stat().st_mtime_ns
        except OSError:
            return False
        with contextlib.suppress(OSError):  # another user's: it is not ours to collect either
            os.utime(path, ns=(time.time_ns(), modified))
        return True


@contextlib.contextmanager
def collecting() -> Iterator[None]:
    """While this block runs nobody finds an entry: keep it short."""
    with _locked(fcntl.LOCK_EX):
        yield


@contextlib.contextmanager
def running() -> Iterator[None]:
    """Register this process for the block. Where the cache can't be written it is not."""
    held = None
    try:
        with contextlib.suppress(OSError):
            held = _registration(cache_directory() / _RUNNING)
        yield
    finally:
        if held is not None:
            path, descriptor = held
            path.unlink(missing_ok=True)
            os.close(descriptor)


def _registration(folder: Path) -> tuple[Path, int]:
    """A file and the descriptor that holds its lock.

    Until it is locked others take it for a dead process's and remove it; then another is made, by
    another name, as they may be about to remove this one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        path = folder / f"{os.getpid()}.{os.urandom(4).hex()}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return path, descriptor
        os.close(descriptor)


def oldest_start_ns() -> int | None:
    """When the oldest process that is registered and alive began; None where there is none."""
    return min(_starts_ns(), default=None)


def others_running() -> bool:
    """Whether more processes than this one are registered and alive."""
    return len(_starts_ns()) > 1


def _starts_ns() -> list[int]:
    starts = []
    for path in (cache_directory() / _RUNNING).glob("*"):
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            except BlockingIOError:
                starts.append(os.fstat(descriptor).st_mtime_ns)
            finally:
                os.close(descriptor)
    return starts


@contextlib.contextmanager
def _locked(kind: int) -> Iterator[None]:
    """Hold the lock; on a cache that can't be written there is nothing to exclude."""
    path = cache_directory() / _LOCK
    descriptor = None
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        fcntl.flock(descriptor, kind)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)
