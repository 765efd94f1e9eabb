# SPDX-License-Identifier: Apache-2.0
"""A root file system under construction: what each kind of tar member does to it."""

from __future__ import annotations

import contextlib
import os
import stat
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from imagekit.errors import IntegrityError
from imagekit.oci.scoped import Folder, ScopedRoot
from imagekit.values import frozen

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SET_IDS = stat.S_ISUID | stat.S_ISGID
_LATEST_SECOND = 1 << 33
_IDS = 1 << 32


@frozen
class Metadata:
    mode: int
    uid: int
    gid: int
    mtime_seconds: int

    @classmethod
    def of(cls, member: tarfile.TarInfo) -> Metadata:
        if not (0 <= member.uid < _IDS - 1 and 0 <= member.gid < _IDS - 1):
            raise IntegrityError(f"{member.name[:200]!r}: an impossible owner")
        mtime = int(min(max(member.mtime, 0), _LATEST_SECOND))
        return cls(member.mode & 0o7777, member.uid, member.gid, mtime)


def encoded(text: str) -> bytes:
    """A name as the tar has it, whatever this process's locale."""
    data = text.encode("utf-8", "surrogateescape")
    if b"\0" in data:
        raise IntegrityError(f"a NUL byte in {text[:200]!r}")
    return data


def clean_parts(name: str) -> list[bytes]:
    """The names in a path; an absolute one is taken from the image's root.

    Raises IntegrityError for `..`.
    """
    parts = [part for part in encoded(name).split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise IntegrityError(f"holds the path {name[:200]!r}")
    return parts


def checked_name(name: bytes) -> bytes:
    if name in (b"", b".", b".."):
        raise IntegrityError(f"hides {name!r}")
    return name


class LayerTree:
    """Layers are added base first, `begin_layer` before each; `finish` sets what folders are.

    Folders stay writable until then, whatever their mode is to be.
    """

    def __init__(self, directory: Path, *, owned: bool) -> None:
        self._root = ScopedRoot(directory)
        self._owned = owned
        self._folders: dict[bytes, Metadata] = {}
        self._of_this_layer: set[bytes] = set()
        self._last: tuple[tuple[bytes, ...], Folder] | None = None
        self._last_may_be_gone = False

    def close(self) -> None:
        self._forget()
        self._root.close()

    def begin_layer(self) -> None:
        self._of_this_layer = set()

    def directory(self, parts: Sequence[bytes], metadata: Metadata) -> None:
        if not parts:
            self._folders[b""] = metadata
            return
        parent = self._parent(parts)
        path = self._claim(parent, parts[-1])
        if not _is_folder(parent, parts[-1]):
            self._discard(parent, parts[-1])
            os.mkdir(parts[-1], 0o755, dir_fd=parent.descriptor)
        self._folders[path] = metadata

    def file(self, parts: Sequence[bytes], content: BinaryIO, metadata: Metadata) -> None:
        parent, name = self._parent(parts), parts[-1]
        self._claim(parent, name)
        try:
            descriptor = os.open(name, _CREATE, 0o600, dir_fd=parent.descriptor)
        except FileExistsError:
            self._discard(parent, name)
            descriptor = os.open(name, _CREATE, 0o600, dir_fd=parent.descriptor)
        with os.fdopen(descriptor, "wb", buffering=0) as stream:
            while chunk := content.read(1 << 20):
                stream.write(chunk)
            self._set(descriptor, metadata)

    def symlink(self, parts: Sequence[bytes], target: bytes, metadata: Metadata) -> None:
        parent, name = self._parent(parts), parts[-1]
        self._claim(parent, name)
        try:
            os.symlink(target, name, dir_fd=parent.descriptor)
        except FileExistsError:
            self._discard(parent, name)
            os.symlink(target, name, dir_fd=parent.descriptor)
        if self._owned:
            os.chown(
                name,
                metadata.uid,
                metadata.gid,
                dir_fd=parent.descriptor,
                follow_symlinks=False,
            )

    def hard_link(self, parts: Sequence[bytes], target: Sequence[bytes]) -> None:
        """Link to a file of this layer or one below it, never through a link in its last part."""
        parent, name = self._parent(parts), parts[-1]
        path = self._claim(parent, name)
        with self._root.opened(target[:-1]) as source:
            if source is None or not target:
                raise IntegrityError(f"{path[:200]!r}: a hard link to nothing")
            if source.child(target[-1]) == path:
                return
            self._discard(parent, name)
            try:
                os.link(
                    target[-1],
                    name,
                    src_dir_fd=source.descriptor,
                    dst_dir_fd=parent.descriptor,
                    follow_symlinks=False,
                )
            except (FileNotFoundError, PermissionError) as error:
                raise IntegrityError(f"{path[:200]!r}: a hard link to no file") from error

    def remove(self, parts: Sequence[bytes]) -> None:
        """Make the path absent, as where a device would be."""
        self._discard(self._parent(parts), parts[-1])

    def white_out(self, parts: Sequence[bytes]) -> None:
        """Hide what lower layers have at the path; what this layer put there stays."""
        with self._root.opened(parts[:-1]) as parent:
            if parent is not None:
                self._discard(parent, parts[-1], keep=self._of_this_layer)

    def clear(self, parts: Sequence[bytes]) -> None:
        """Hide what lower layers have in a folder."""
        with self._root.opened(parts) as folder:
            if folder is not None:
                self._empty(folder, self._of_this_layer)

    def finish(self) -> None:
        """Give the folders their owners, modes and times, the deepest first."""
        for path in sorted(self._folders, key=lambda path: path.count(b"/"), reverse=True):
            if path:
                self._set_folder(path)
        if b"" in self._folders:
            self._set_folder(b"")

    def _set_folder(self, path: bytes) -> None:
        with self._root.opened(path.split(b"/")) as folder:
            # A folder that a later layer replaced is no longer in the table, so it is there.
            if folder is None or folder.path != path:
                raise IntegrityError(f"{path[:200]!r}: a folder went away")
            self._set(folder.descriptor, self._folders[path])

    def _set(self, descriptor: int, metadata: Metadata) -> None:
        mode = metadata.mode
        if self._owned:
            # First, since it clears the set-ID bits.
            os.chown(descriptor, metadata.uid, metadata.gid)
        else:
            mode &= ~_SET_IDS
        os.chmod(descriptor, mode)
        os.utime(descriptor, (metadata.mtime_seconds, metadata.mtime_seconds))

    def _parent(self, parts: Sequence[bytes]) -> Folder:
        """The open folder that `parts` lies in; kept open, as the next member is often in it."""
        above = tuple(parts[:-1])
        if self._last is None or self._last[0] != above or self._last_may_be_gone:
            self._forget()
            folder = self._root.open(above, make=True)
            if folder is None:
                raise IntegrityError(f"no folder at {b'/'.join(above)[:200]!r}")
            self._last = (above, folder)
        return self._last[1]

    def _forget(self) -> None:
        if self._last is not None:
            os.close(self._last[1].descriptor)
            self._last = None
        self._last_may_be_gone = False

    def _claim(self, parent: Folder, name: bytes) -> bytes:
        path = parent.child(name)
        self._of_this_layer.add(path)
        return path

    def _discard(
        self, parent: Folder, name: bytes, keep: frozenset[bytes] | set[bytes] = frozenset()
    ) -> None:
        path = parent.child(name)
        self._last_may_be_gone = True
        if not _is_folder(parent, name):
            if path not in keep:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=parent.descriptor)
            return
        with _inside(parent, name) as folder:
            self._empty(folder, keep)
        if path not in keep:
            # Not empty where this layer has something in it.
            with contextlib.suppress(OSError if keep else FileNotFoundError):
                os.rmdir(name, dir_fd=parent.descriptor)
                self._folders.pop(path, None)

    def _empty(self, folder: Folder, keep: frozenset[bytes] | set[bytes]) -> None:
        for name in os.listdir(folder.descriptor):
            self._discard(folder, os.fsencode(name), keep)


def _is_folder(parent: Folder, name: bytes) -> bool:
    try:
        found = os.stat(name, dir_fd=parent.descriptor, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode)


@contextlib.contextmanager
def _inside(parent: Folder, name: bytes) -> Iterator[Folder]:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, dir_fd=parent.descriptor)
    try:
        yield Folder(descriptor, parent.child(name))
    finally:
        os.close(descriptor)
