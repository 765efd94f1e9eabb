# SPDX-License-Identifier: Apache-2.0
"""Folders for work under way. They go when the block ends; those of a killed process go later."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PREFIX = ".work-"


@contextlib.contextmanager
def scratch_directory(parent: Path) -> Iterator[Path]:
    """A new folder in `parent` that only this user can enter; it may be renamed away."""
    parent.mkdir(parents=True, exist_ok=True)
    sweep_scratch(parent)
    directory, lock = _locked_directory(parent)
    try:
        yield directory
    finally:
        remove_tree(directory)
        os.close(lock)


def sweep_scratch(parent: Path) -> None:
    """Remove the folders whose process is gone: the kernel has released their locks."""
    for leftover in parent.glob(_PREFIX + "*"):
        lock = _lock(leftover)
        if lock is not None:
            remove_tree(leftover)
            os.close(lock)


def live_scratch(parent: Path) -> list[Path]:
    """The folders whose process lives, our own included."""
    sweep_scratch(parent)
    return list(parent.glob(_PREFIX + "*"))


def remove_tree(directory: Path) -> None:
    """Remove a tree of our own, even one whose folders forbid that. Absent is fine."""
    try:
        shutil.rmtree(directory)
    except FileNotFoundError:
        return
    except PermissionError:
        _open_up(directory)
        shutil.rmtree(directory)


def _locked_directory(parent: Path) -> tuple[Path, int]:
    while True:
        directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        lock = _lock(directory)
        # A sweep may have come between the two.
        if lock is not None and directory.exists():
            return directory, lock


def _lock(directory: Path) -> int | None:
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor
    return None


def _open_up(directory: Path) -> None:
    directory.chmod(0o700)
    for folder, names, _ in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                os.chmod(path, 0o700)
