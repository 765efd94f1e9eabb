# SPDX-License-Identifier: Apache-2.0
"""What the cache holds: every entry with its size, its last use and the images that hold it."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from imagekit.errors import ImagekitError
from imagekit.oci.store import Store
from imagekit.values import frozen

KINDS: Mapping[str, tuple[str, ...]] = {
    "downloads": ("files/sha256/*", "tools/*"),
    "layers": ("layers/blobs/sha256/*",),
    "bases": ("debian/*", "outlines/sha256/*"),
    "roots": ("roots/*", "rootfs/*"),
    "runtimes": ("runtime/*.whl", "runtime/pins/*"),
    "repositories": ("git/*",),
    "checks": (
        *("conflict-free/*", "digests/*", "locks/*", "pushed/*/*", "receipts/*", "rendered/*"),
    ),
}
"""Where the entries of each kind lie below the cache's folder."""

_NO_ENTRY = (".lock", ".partial", ".tmp")


@frozen
class CacheEntry:
    """One file or folder that comes and goes as a whole.

    `frees_bytes` is what removing it gives back: nothing of a layer that an image in the local
    store or in a layout shares with it. `last_used_ns` counts from the epoch.
    """

    kind: str
    path: Path
    size_bytes: int
    frees_bytes: int
    last_used_ns: int
    images: tuple[str, ...]


def survey(cache: Path, store: Store) -> Sequence[CacheEntry]:
    """Every entry of the cache in the folder `cache`, the one used longest ago first."""
    holders = _holders(store)
    found = [
        entry
        for kind, patterns in KINDS.items()
        for pattern in patterns
        for path in cache.glob(pattern)
        if (entry := _entry(kind, path, holders)) is not None
    ]
    return sorted(found, key=lambda entry: (entry.last_used_ns, entry.path))


def last_used_ns(path: Path) -> int | None:
    """When `imagekit.usage.used` last noted the entry, or else when it was made."""
    try:
        return path.lstat().st_atime_ns
    except FileNotFoundError:
        return None


def _entry(kind: str, path: Path, holders: Mapping[str, Sequence[str]]) -> CacheEntry | None:
    if path.name.startswith(".") or path.name.endswith(_NO_ENTRY):
        return None
    with contextlib.suppress(FileNotFoundError):
        status = path.lstat()
        if stat.S_ISDIR(status.st_mode):
            size_bytes = frees_bytes = sum(_sizes(path))
        else:
            size_bytes = status.st_size
            frees_bytes = size_bytes if status.st_nlink == 1 else 0
        images = tuple(holders.get(path.name, ())) if kind == "layers" else ()
        return CacheEntry(kind, path, size_bytes, frees_bytes, status.st_atime_ns, images)
    return None


def _sizes(folder: Path) -> Iterator[int]:
    for directory, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                yield os.lstat(os.path.join(directory, name)).st_size


def _holders(store: Store) -> Mapping[str, Sequence[str]]:
    """Names of stored images by the digests of their layers, in hexadecimal."""
    holders: dict[str, list[str]] = {}
    for stored in store.list():
        with contextlib.suppress(ImagekitError):  # a damaged image holds nothing
            for layer in store.find(stored.digest).layers:
                names = holders.setdefault(layer.digest.removeprefix("sha256:"), [])
                if stored.name not in names:
                    names.append(stored.name)
    return holders
