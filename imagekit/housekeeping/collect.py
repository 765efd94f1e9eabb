# SPDX-License-Identifier: Apache-2.0
"""Removes what was not used for long, or longest, while builds go on."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from imagekit import usage
from imagekit.housekeeping.survey import CacheEntry, last_used_ns, survey
from imagekit.oci.scratch import remove_tree
from imagekit.oci.store import Store
from imagekit.values import frozen

_TRASH = "trash"


@frozen
class Limits:
    """What may stay; None is no limit. `age_seconds` counts from an entry's last use."""

    size_bytes: int | None = None
    age_seconds: float | None = None


@frozen
class Collected:
    """What went; `kept_in_use` would have gone, but running processes may need it."""

    removed: tuple[CacheEntry, ...]
    kept_in_use: tuple[CacheEntry, ...]

    @property
    def freed_bytes(self) -> int:
        return sum(entry.frees_bytes for entry in self.removed)


def collect(cache: Path, store: Store, limits: Limits, *, dry_run: bool = False) -> Collected:
    """Bring the cache in the folder `cache` below `limits`, what was used longest ago first.

    What a running build has asked for since it began stays, whatever the limits say. With
    `dry_run` nothing is removed.
    """
    _empty_trash(cache)
    removed: list[CacheEntry] = []
    kept: list[CacheEntry] = []
    for entry in _surplus(survey(cache, store), limits):
        gone = _idle(entry) if dry_run else _remove(cache, entry)
        (removed if gone else kept).append(entry)
    _empty_trash(cache)
    return Collected(tuple(removed), tuple(kept))


def _surplus(entries: Sequence[CacheEntry], limits: Limits) -> Iterator[CacheEntry]:
    """`entries` come oldest first."""
    left_bytes = sum(entry.frees_bytes for entry in entries)
    oldest_ns = 0
    if limits.age_seconds is not None:
        oldest_ns = time.time_ns() - int(limits.age_seconds * 1e9)
    for entry in entries:
        too_many = limits.size_bytes is not None and left_bytes > limits.size_bytes
        if entry.last_used_ns < oldest_ns or (too_many and entry.frees_bytes):
            left_bytes -= entry.frees_bytes
            yield entry


def _idle(entry: CacheEntry) -> bool:
    start = usage.oldest_start_ns()
    used = last_used_ns(entry.path)
    return used is not None and (start is None or used < start)


def _remove(cache: Path, entry: CacheEntry) -> bool:
    """Remove `entry` unless somebody may be using it. It is gone at once, whatever its size."""
    trash = cache / _TRASH
    trash.mkdir(exist_ok=True)
    with usage.collecting():
        if not _idle(entry):
            return False
        os.rename(entry.path, trash / secrets.token_hex(8))
    return True


def _empty_trash(cache: Path) -> None:
    """Also of what a killed collection left."""
    for path in (cache / _TRASH).glob("*"):
        if path.is_dir() and not path.is_symlink():
            remove_tree(path)
        else:
            path.unlink(missing_ok=True)
