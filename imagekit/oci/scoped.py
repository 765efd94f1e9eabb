# SPDX-License-Identifier: Apache-2.0
"""Paths inside a root file system, resolved as the image itself would, never leaving it.

Each step is one `openat` without following links; a link is read, and its target walked from the
image's own root. So no name and no link in a hostile image reaches a file outside.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from imagekit.errors import IntegrityError
from imagekit.values import frozen

_LINK_LIMIT = 40
_DEPTH_LIMIT = 256
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SMALL_BYTES = 1 << 20
_FOLDER_MODE = 0o755  # of folders that no layer lists, whatever the umask


@frozen
class Folder:
    """An open folder; `path` is its real path in the root, `/` between the parts."""

    descriptor: int
    path: bytes

    def child(self, name: bytes) -> bytes:
        return self.path + b"/" + name if self.path else name


class ScopedRoot:
    """Walks below one folder; close it at the end."""

    def __init__(self, directory: Path) -> None:
        self._root = os.open(directory, _FLAGS)

    def close(self) -> None:
        os.close(self._root)

    def open(self, parts: Sequence[bytes], *, make: bool = False) -> Folder | None:
        """Open the folder at `parts`; the caller closes its descriptor.

        Args:
            parts: names below the root; `..` stops at the root.
            make: make what is absent; without it an absent or other thing gives None.

        Raises:
            IntegrityError: links go in circles, the path is too deep, or (with `make`) a part of
                it is a file.
        """
        opened = [os.dup(self._root)]
        try:
            names = self._walk(opened, list(parts[::-1]), make=make)
            return None if names is None else Folder(opened.pop(), b"/".join(names))
        finally:
            for descriptor in opened:
                os.close(descriptor)

    def read_small(self, path: str) -> bytes | None:
        """The first megabyte of a file, links followed; None where there is no such file."""
        parts = path.encode().split(b"/")
        for _ in range(_LINK_LIMIT):
            with self.opened(parts[:-1]) as folder:
                if folder is None:
                    return None
                target = _read_link(folder.descriptor, parts[-1])
                if target is None:
                    return _read_file(folder.descriptor, parts[-1])
                above = [] if target.startswith(b"/") else folder.path.split(b"/")
                parts = [*above, *target.split(b"/")]
        return None

    @contextlib.contextmanager
    def opened(self, parts: Sequence[bytes]) -> Iterator[Folder | None]:
        """As `open` without `make`, closed at the end of the block."""
        folder = self.open(parts)
        try:
            yield folder
        finally:
            if folder is not None:
                os.close(folder.descriptor)

    def _walk(self, opened: list[int], pending: list[bytes], *, make: bool) -> list[bytes] | None:
        """Go through `pending` from its end; `opened` gets a descriptor per name returned."""
        names: list[bytes] = []
        links = 0
        while pending:
            part = pending.pop()
            if part == b"..":
                if names:
                    names.pop()
                    os.close(opened.pop())
                continue
            if part in (b"", b"."):
                continue
            step = _enter(opened[-1], part, make=make)
            if step is None:
                return None
            if isinstance(step, int):
                opened.append(step)
                names.append(part)
            else:
                links += 1
                pending.extend(step.split(b"/")[::-1])
                while step.startswith(b"/") and names:
                    names.pop()
                    os.close(opened.pop())
            if links > _LINK_LIMIT or len(names) > _DEPTH_LIMIT:
                raise IntegrityError(f"links in circles, or too deep: {b'/'.join(names)[:200]!r}")
        return names


def _enter(folder: int, name: bytes, *, make: bool) -> int | bytes | None:
    """A descriptor of the folder `name`, or a link's target, or None for what is neither."""
    try:
        return os.open(name, _FLAGS, dir_fd=folder)
    except FileNotFoundError:
        if not make:
            return None
        os.mkdir(name, dir_fd=folder)
        made = os.open(name, _FLAGS, dir_fd=folder)
        os.chmod(made, _FOLDER_MODE)
        return made
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
    target = _read_link(folder, name)
    if target is None and make:
        raise IntegrityError(f"a path goes through a file: {name[:200]!r}")
    return target


def _read_link(folder: int, name: bytes) -> bytes | None:
    try:
        return os.readlink(name or b".", dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT):
            return None
        raise


def _read_file(folder: int, name: bytes) -> bytes | None:
    try:
        descriptor = os.open(
            name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder
        )
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read(_SMALL_BYTES)
