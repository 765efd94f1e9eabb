# SPDX-License-Identifier: Apache-2.0
"""Unpacked bases on this machine: made once, whole or absent."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from imagekit.debian.base import DebianBase
from imagekit.debian.recipe import recipe
from imagekit.debian.releases import content
from imagekit.debian.rootfs import Rootfs, finish
from imagekit.debian.tree import Tree, dump, load
from imagekit.debian.unpack import merge, unpack_all, write_tree
from imagekit.errors import BuildError
from imagekit.files import exclusive
from imagekit.paths import cache_directory
from imagekit.usage import used

_NODES = "nodes.json"
_ROOT = "root"


def cached_tree(base: DebianBase, *, directory: Path | None = None) -> Tree | None:
    """The unpacked base, if it was made on this machine before; no .debs are needed then."""
    return _load(_place(base, directory))


def cached_root(base: DebianBase) -> Path | None:
    """Where the unpacked base lies, if it was made on this machine before; it is not looked at."""
    place = _place(base, None)
    return place / _ROOT if used(place) else None


def unpack_tree(
    base: DebianBase, debs: Mapping[str, Path], *, directory: Path | None = None
) -> Tree:
    """The unpacked base; `debs` are its packages by sha256.

    It is kept below `directory` (the user's cache by default). Of several processes that ask at
    once, one unpacks and the others wait; a killed one leaves nothing that is taken for a base.

    Raises:
        IntegrityError: a package is not what a package may be.
        BuildError: packages don't fit together, or the disk is full.
    """
    place = _place(base, directory)
    if tree := _load(place):
        return tree
    with exclusive(place.with_suffix(".lock")):
        if tree := _load(place):
            return tree
        partial = place.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        try:
            with _clear_disk_errors(place):
                _unpack(base, debs, partial)
                os.rename(partial, place)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    tree = _load(place)
    if tree is None:
        raise BuildError(f"{place} went away while it was used")
    return tree


@contextlib.contextmanager
def _clear_disk_errors(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise BuildError(
            f"unpacking the Debian base into {place}: {error.strerror or error}",
            hint="free some space, or set XDG_CACHE_HOME to a larger disk" if full else None,
        ) from error


def _unpack(base: DebianBase, debs: Mapping[str, Path], partial: Path) -> None:
    blobs_directory = partial / "blobs"
    blobs_directory.mkdir(parents=True)
    unpacked = unpack_all(base, debs, blobs_directory, content())
    nodes, blobs = merge(unpacked)
    nodes, blobs = Rootfs(nodes, blobs, blobs_directory).complete(unpacked, content().alternatives)
    root = partial / _ROOT
    write_tree(nodes, blobs, root)
    nodes = finish(Tree(root, nodes), base.architecture)
    shutil.rmtree(blobs_directory)
    (partial / _NODES).write_bytes(dump(nodes))


def _place(base: DebianBase, directory: Path | None) -> Path:
    parent = cache_directory() / "debian" if directory is None else directory
    return parent / hashlib.sha256(recipe(base).encode()).hexdigest()


def _load(place: Path) -> Tree | None:
    if not used(place):
        return None
    try:
        return load(place / _ROOT, (place / _NODES).read_bytes())
    except FileNotFoundError:
        return None
