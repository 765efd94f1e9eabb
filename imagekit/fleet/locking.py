# SPDX-License-Identifier: Apache-2.0
"""Locks many specs at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from imagekit.errors import ImagekitError
from imagekit.fleet.parallel import results
from imagekit.fleet.stages import ancestors
from imagekit.lock.model import Lock
from imagekit.spec.model import ImageSpec
from imagekit.values import frozen

_AT_ONCE = 4


@frozen
class Locked:
    """What became of one spec's lock: one of `locks` and `error` is set."""

    address: Path
    locks: tuple[Lock, ...] = ()
    error: ImagekitError | None = None


def lock_all(
    specs: Mapping[Path, ImageSpec], lock_one: Callable[[Path], tuple[Lock, ...]]
) -> Iterator[Locked]:
    """Lock every one of `specs`, a few at a time, and yield what became of them in their order.

    One that stands on another of them waits for that one's lock. One that fails doesn't stop the
    others.

    Raises:
        SpecError: one stands on itself, or on one that can't be read.
    """

    def attempt(address: Path) -> Locked:
        try:
            return Locked(address, lock_one(address))
        except ImagekitError as error:
            return Locked(address, error=error)

    below = ancestors(specs)
    order = sorted(specs, key=lambda address: len(below[address]))
    return results(order, below, attempt, _AT_ONCE)
