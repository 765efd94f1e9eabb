# SPDX-License-Identifier: Apache-2.0
"""Files that are whole or absent, and locks that die with their process."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from imagekit.errors import BuildError


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file at `path`; waits. The kernel releases it however the process ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def replacing(path: Path, *, mode: int = 0o644) -> Iterator[BinaryIO]:
    """A stream whose content appears at `path` when the block ends well, and not at all else.

    What killed processes left in the same folder is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    temporary = path.with_name(f".{path.name[:100]}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    try:
        with _clear_disk_errors(path), temporary.open("xb") as stream:
            yield stream
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fdatasync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sweep(directory: Path) -> None:
    """Remove what `replacing` left behind in `directory` when its process was killed."""
    for leftover in directory.glob(".*.tmp"):
        owner = leftover.name.split(".")[-3]
        if owner.isdigit() and not _alive(int(owner)):
            leftover.unlink(missing_ok=True)


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` the same bytes as `source`: a hard link where both share a file system."""
    temporary = target.with_name(f".{target.name[:100]}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    try:
        os.link(source, temporary)
    except OSError:
        with source.open("rb") as reader, replacing(target) as writer:
            while chunk := reader.read(1 << 20):
                writer.write(chunk)
        return
    os.replace(temporary, target)
    # Replacing one link to a file by another to the same file leaves both.
    temporary.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def sha256_of(path: Path) -> str:
    """In hexadecimal, of the file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@contextlib.contextmanager
def _clear_disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise BuildError(
                f"writing {path}: no space left on the device",
                hint="free some space, or set XDG_CACHE_HOME to a larger disk",
            ) from error
        raise
