# SPDX-License-Identifier: Apache-2.0
"""Unpacking beside the destination, and moving into it only what is whole and checked.

Names are checked before anything is made, links are made last and followed never, and files that
stand in the destination already are replaced, as that is what a new version of the code does.
"""

from __future__ import annotations

import os
import shutil
import stat
from typing import IO

from ..errors import BundleError

DEPTH_LIMIT = 100
CHUNK = 64 << 10
_STAGING = ".imagekit-bundle-"


class Staging:
    """A directory that is filled by an archive's members; to be discarded in any case."""

    def __init__(self, beside: str) -> None:
        self.path = os.path.join(beside, _STAGING + os.urandom(8).hex())
        self.files: dict[str, None] = {}
        self.directories: dict[str, None] = {}
        self.links: dict[str, str] = {}
        os.mkdir(self.path, 0o700)

    def discard(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def add_directory(self, name: str) -> None:
        path = _checked(name)
        if path:
            self._make_directories(path)

    def add_file(self, name: str, content: IO[bytes], size_bytes: int, mode: int) -> None:
        path = self._new(name)
        remaining = size_bytes
        with open(os.path.join(self.path, path), "xb") as file:
            while remaining and (chunk := content.read(min(CHUNK, remaining))):
                remaining -= len(chunk)
                file.write(chunk)
            if remaining or content.read(1):
                raise BundleError(f"{name!r:.200} has not the {size_bytes} bytes that it claims")
        os.chmod(os.path.join(self.path, path), 0o755 if mode & stat.S_IXUSR else 0o644)
        self.files[path] = None

    def add_copy(self, name: str, original: str) -> None:
        """A hard link: only to a file that came before it, as a file of its own."""
        source = _checked(original)
        if source not in self.files:
            raise BundleError(f"{name!r:.200} is a hard link to no file of the bundle")
        path = self._new(name)
        shutil.copy(os.path.join(self.path, source), os.path.join(self.path, path))
        self.files[path] = None

    def add_link(self, name: str, target: str) -> None:
        path = self._new(name)
        _check_target(path, target)
        self.links[path] = target

    def _new(self, name: str) -> str:
        path = _checked(name)
        if not path or path in self.files or path in self.links or path in self.directories:
            raise BundleError(f"{name!r:.200} comes twice")
        self._make_directories(os.path.dirname(path))
        return path

    def _make_directories(self, path: str) -> None:
        """Each parent is a directory that was made here, never a link of the archive's."""
        if not path or path in self.directories:
            return
        if path in self.files or path in self.links:
            raise BundleError(f"{path!r:.200} is a directory, and something else before")
        self._make_directories(os.path.dirname(path))
        os.mkdir(os.path.join(self.path, path), 0o755)
        self.directories[path] = None

    def move_to(self, destination: str) -> None:
        """Everything is checked against what stands there before the first file is moved."""
        for path in self.directories:
            _check_directory(os.path.join(destination, path))
        for path in (*self.files, *self.links):
            if _is_directory(os.path.join(destination, path)):
                raise BundleError(f"{path!r:.200} stands at its destination as a directory")
        for path, target in self.links.items():
            os.symlink(target, os.path.join(self.path, path))
        for path in self.directories:
            os.makedirs(os.path.join(destination, path), exist_ok=True)
        for path in (*self.files, *self.links):
            place = os.path.join(destination, path)
            os.replace(os.path.join(self.path, path), place)
            _forget_compiled(place)


def place_file(source: str, destination: str) -> None:
    """A copy, complete or absent."""
    partial = os.path.join(os.path.dirname(destination), _STAGING + os.urandom(8).hex())
    try:
        shutil.copyfile(source, partial)
        os.replace(partial, destination)
    except BaseException:
        if os.path.exists(partial):
            os.unlink(partial)
        raise


def _checked(name: str) -> str:
    """The path inside the archive in its plainest form; empty for the archive's own top."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise BundleError(f"{name!r:.200} leads out of the bundle")
    if len(parts) > DEPTH_LIMIT:
        raise BundleError(f"{name!r:.200} is deeper than {DEPTH_LIMIT} directories")
    return "/".join(parts)


def _check_target(path: str, target: str) -> None:
    """It goes up no further than to the top, and only at first: what lies below may be a link."""
    parts = [part for part in target.split("/") if part not in ("", ".")]
    ups = 0
    while ups < len(parts) and parts[ups] == "..":
        ups += 1
    escapes = target.startswith("/") or ".." in parts[ups:] or ups > path.count("/")
    if escapes or not target or "\0" in target:
        raise BundleError(f"{path!r:.200} is a link to {target!r:.200}, out of the bundle")


def _check_directory(path: str) -> None:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(mode):
        raise BundleError(f"{path!r:.200} is needed as a directory, and is none")


def _is_directory(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _forget_compiled(path: str) -> None:
    """An image's compiled code may be marked as never stale."""
    folder, name = os.path.split(path)
    cache = os.path.join(folder, "__pycache__")
    if not name.endswith(".py") or not os.path.isdir(cache):
        return
    for each in os.listdir(cache):
        if each.startswith(name[:-3] + "."):
            os.unlink(os.path.join(cache, each))
