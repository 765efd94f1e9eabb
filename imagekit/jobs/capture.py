# SPDX-License-Identifier: Apache-2.0
"""What a program changed in an image's root file system, written as a layer.

The root before is compared with an overlay's upper folder, or with a copy of the whole root that
the program worked on. A file that was touched and is the same as before is no change.
"""

from __future__ import annotations

import errno
import filecmp
import os
import stat
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from imagekit.errors import BuildError
from imagekit.layers.writer import LayerWriter
from imagekit.values import frozen

_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")
_CAPABILITIES = "security.capability"
_NO_ATTRIBUTE = (errno.ENODATA, errno.ENOTSUP, errno.EPERM)
_WHITEOUT = ".wh."


@frozen
class Roots:
    """Where to look, and for what.

    Attributes:
        before: the root that the program found; nothing was written to it.
        after: an overlay's upper folder, or with `copied_ns` a whole root.
        copied_ns: when `after` was whole and unchanged, in nanoseconds of its own clock (ctime).
        left_out: whether a path (relative, in bytes) is no part of the layer.
        scaffolding: folders that were made for the run; no part of the layer when empty.
    """

    before: Path
    after: Path
    copied_ns: int | None
    left_out: Callable[[bytes], bool]
    scaffolding: Collection[bytes] = ()


def capture(roots: Roots, writer: LayerWriter) -> None:
    """Write what differs, sorted by path; what is gone is whited out (image-spec, layer.md).

    Raises:
        BuildError: a device, or a file with capabilities, which layers here don't hold.
    """
    _Capture(roots, writer).run()


@frozen
class _Change:
    """What is at `path` now; None where it is gone."""

    path: bytes
    status: os.stat_result | None


class _Capture:
    def __init__(self, roots: Roots, writer: LayerWriter) -> None:
        self._before = os.fsencode(roots.before)
        self._after = os.fsencode(roots.after)
        self._roots = roots
        self._writer = writer
        self._inodes: dict[tuple[int, int], str] = {}

    def run(self) -> None:
        for change in self._below(b"", whole=self._roots.copied_ns is not None):
            self._write(change)

    def _below(self, folder: bytes, *, whole: bool) -> Iterator[_Change]:
        """Changes in a folder; with `whole`, what is not in it now is gone."""
        now = set(os.listdir(os.path.join(self._after, folder)))
        earlier = _names(os.path.join(self._before, folder)) if whole else set()
        for name in sorted(now | earlier):
            path = os.path.join(folder, name)
            if self._roots.left_out(path):
                continue
            if name in now:
                yield from self._at(path, whole=whole)
            else:
                yield _Change(path, None)

    def _at(self, path: bytes, *, whole: bool) -> Iterator[_Change]:
        place = os.path.join(self._after, path)
        now = os.lstat(place)
        before = _status(os.path.join(self._before, path))
        if _is_whiteout(now):
            if before is not None:
                yield _Change(path, None)
        elif stat.S_ISDIR(now.st_mode):
            was_folder = before is not None and stat.S_ISDIR(before.st_mode)
            hidden = whole or not was_folder or _is_opaque(place)
            inner = list(self._below(path, whole=hidden))
            new = before is None and path not in self._roots.scaffolding
            if inner or new or (before is not None and _facts(now) != _facts(before)):
                yield _Change(path, now)
            yield from inner
        elif not stat.S_ISSOCK(now.st_mode) and self._differs(path, now, before):
            yield _Change(path, now)

    def _differs(self, path: bytes, now: os.stat_result, before: os.stat_result | None) -> bool:
        if before is None or _facts(now) != _facts(before):
            return True
        one, other = os.path.join(self._before, path), os.path.join(self._after, path)
        if stat.S_ISLNK(now.st_mode):
            return os.readlink(one) != os.readlink(other)
        since = self._roots.copied_ns
        if since is not None and now.st_ctime_ns < since:
            return False
        return now.st_size != before.st_size or not filecmp.cmp(one, other, shallow=False)

    def _write(self, change: _Change) -> None:
        path = change.path.decode("utf-8", "surrogateescape")
        if change.status is None:
            folder, _, name = path.rpartition("/")
            self._writer.file(f"{folder}/{_WHITEOUT}{name}".lstrip("/"), b"")
            return
        place = os.path.join(self._after, change.path)
        mode = stat.S_IMODE(change.status.st_mode)
        uid, gid = change.status.st_uid, change.status.st_gid
        if stat.S_ISDIR(change.status.st_mode):
            self._writer.directory(path, mode=mode, uid=uid, gid=gid)
        elif stat.S_ISLNK(change.status.st_mode):
            target = os.readlink(place).decode("utf-8", "surrogateescape")
            self._writer.symlink(path, target, uid=uid, gid=gid)
        elif stat.S_ISREG(change.status.st_mode):
            self._file(path, place, change.status)
        else:
            raise BuildError(f"/{path} is a device or a pipe, which images can't be given here")

    def _file(self, path: str, place: bytes, status: os.stat_result) -> None:
        if _attribute(place, _CAPABILITIES):
            raise BuildError(
                f"/{path} was given file capabilities, which layers made here don't hold",
                hint="leave `setcap` out, or build with the docker builder",
            )
        inode = (status.st_dev, status.st_ino)
        if status.st_nlink > 1:
            first = self._inodes.setdefault(inode, path)
            if first != path:
                self._writer.hard_link(path, first)
                return
        with open(place, "rb") as stream:
            chunks = iter(lambda: stream.read(1 << 20), b"")
            mode = stat.S_IMODE(status.st_mode)
            uid, gid = status.st_uid, status.st_gid
            self._writer.stream(path, status.st_size, chunks, mode=mode, uid=uid, gid=gid)


def _facts(status: os.stat_result) -> tuple[int, int, int]:
    mode = status.st_mode
    return (stat.S_IFMT(mode) if stat.S_ISLNK(mode) else mode, status.st_uid, status.st_gid)


def _status(place: bytes) -> os.stat_result | None:
    try:
        return os.lstat(place)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _names(folder: bytes) -> set[bytes]:
    found = _status(folder)
    if found is None or not stat.S_ISDIR(found.st_mode):
        return set()
    return set(os.listdir(folder))


def _is_whiteout(status: os.stat_result) -> bool:
    """Overlays mark what is gone with a character device 0:0."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def _is_opaque(folder: bytes) -> bool:
    return any(_attribute(folder, name) == b"y" for name in _OPAQUE)


def _attribute(place: bytes, name: str) -> bytes:
    try:
        return os.getxattr(place, name, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_ATTRIBUTE:
            raise
        return b""
