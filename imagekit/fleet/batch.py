# SPDX-License-Identifier: Apache-2.0
"""Builds many images at the same time, the largest first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from imagekit.builders.model import Built
from imagekit.errors import ImagekitError, LockError
from imagekit.fleet.stages import ancestors
from imagekit.interrupts import tell_all
from imagekit.lock import file
from imagekit.lock.model import LockedWheel
from imagekit.spec.model import ImageSpec
from imagekit.values import frozen


@frozen
class Outcome:
    """What became of one image: one of `built` and `error` is set."""

    address: Path
    built: Built | None = None
    error: ImagekitError | None = None


def build_all(
    specs: Mapping[Path, ImageSpec], build_one: Callable[[Path], Built], jobs: int
) -> Iterator[Outcome]:
    """Build every one of `specs`, `jobs` at a time, and yield what became of them in their order.

    The largest are begun first, as their locks tell, so that none is left for the end, and of those
    with the same packages one, as the others find its layers made; one that stands on another of
    them waits for that one, whose layers it has. One that fails doesn't stop
    the others; leaving the iteration early begins no more of them, and ends those under way. A
    single one is built in the caller's thread, which interrupts reach.
    """
    if len(specs) == 1:
        yield from (_attempt(address, build_one) for address in specs)
        return
    with ThreadPoolExecutor(jobs, thread_name_prefix="build") as pool:
        below = ancestors(specs)
        running: dict[Path, Future[Outcome]] = {}
        for address in _in_order(specs, below):
            # These are begun already, so that waiting for them can't use up the pool.
            first = [running[each] for each in below[address]]
            running[address] = pool.submit(_after, first, address, build_one)
        try:
            for address in specs:
                yield running[address].result()
        except BaseException:
            tell_all()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def _after(
    first: Sequence[Future[Outcome]], address: Path, build_one: Callable[[Path], Built]
) -> Outcome:
    """One that fails says why itself, and what stands on it is tried all the same."""
    for each in first:
        each.result()  # which raises where that one was interrupted
    return _attempt(address, build_one)


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
    """The bytes that the wheels have; more than any where there is no lock yet."""
    if not contents:
        return float("inf")
    return sum(wheel.size_bytes or 0 for _, wheels in contents for wheel in wheels)
