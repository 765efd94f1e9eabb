# SPDX-License-Identifier: Apache-2.0
"""Builds many images at the same time, the largest first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from imagekit.builders.model import Built
from imagekit.errors import ImagekitError, LockError
from imagekit.fleet.locking import lock_all
from imagekit.fleet.parallel import results
from imagekit.fleet.stages import ancestors
from imagekit.lock import file
from imagekit.lock.model import Lock, LockedWheel
from imagekit.spec.model import ImageSpec
from imagekit.values import frozen


@frozen
class Outcome:
    """What became of one image: one of `built` and `error` is set."""

    address: Path
    built: Built | None = None
    error: ImagekitError | None = None


def build_all(
    specs: Mapping[Path, ImageSpec],
    build_one: Callable[[Path], Built],
    jobs: int,
    lock_one: Callable[[Path], tuple[Lock, ...]] | None = None,
) -> Iterator[Outcome]:
    """Build every one of `specs`, `jobs` at a time, and yield what became of them in their order.

    The largest are begun first, as their locks tell, so that none is left for the end, and of those
    with the same packages one, as the others find its layers made; one that stands on another of
    them waits for that one, whose layers it has. Of several, those without a lock are locked by
    `lock_one` before. One that fails doesn't stop the others; leaving the iteration early begins no
    more of them, and ends those under way.
    """
    failed = {} if lock_one is None or len(specs) == 1 else _lock_missing(specs, lock_one)

    def attempt(address: Path) -> Outcome:
        if error := failed.get(address):
            return Outcome(address, error=error)
        return _attempt(address, build_one)

    # A single one is no question of order.
    below = ancestors(specs) if len(specs) > 1 else dict.fromkeys(specs, ())
    order = _in_order(specs, below) if len(specs) > 1 else list(specs)
    yield from results(order, below, attempt, jobs)


def _lock_missing(
    specs: Mapping[Path, ImageSpec], lock_one: Callable[[Path], tuple[Lock, ...]]
) -> dict[Path, ImagekitError]:
    missing = {x: spec for x, spec in specs.items() if not file.lock_path(x).exists()}
    return {each.address: each.error for each in lock_all(missing, lock_one) if each.error}


def _attempt(address: Path, build_one: Callable[[Path], Built]) -> Outcome:
    try:
        return Outcome(address, built=build_one(address))
    except ImagekitError as error:
        return Outcome(address, error=error)


def _in_order(specs: Iterable[Path], below: Mapping[Path, Sequence[Path]]) -> list[Path]:
    contents = {address: _contents(address) for address in specs}
    weights = {address: _weight(contents[address]) for address in contents}
    repeats: Counter[object] = Counter()
    ranks = {}
    for address in sorted(contents, key=lambda each: -weights[each]):
        key = contents[address] or address
        ranks[address] = len(below[address]), repeats[key], -weights[address]
        repeats[key] += 1
    return sorted(contents, key=lambda each: ranks[each])


def _contents(address: Path) -> tuple[tuple[tuple[int, int], tuple[LockedWheel, ...]], ...]:
    """By platform the Python and the wheels; nothing where there is no lock yet."""
    try:
        locks = file.read(file.lock_path(address)) or ()
    except LockError:
        locks = ()
    return tuple((lock.target.python_minor, lock.packages) for lock in locks)


def _weight(contents: Sequence[tuple[object, Sequence[LockedWheel]]]) -> float:
    """The bytes that the wheels have; more than any where there is no lock."""
    if not contents:
        return float("inf")
    return sum(wheel.size_bytes or 0 for _, wheels in contents for wheel in wheels)
