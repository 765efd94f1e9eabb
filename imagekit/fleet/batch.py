# SPDX-License-Identifier: Apache-2.0
"""Builds many images at the same time, the largest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from imagekit.builders.model import Built
from imagekit.errors import ImagekitError, LockError
from imagekit.fleet.stages import ancestors
from imagekit.interrupts import tell_all
from imagekit.lock import file
from imagekit.spec.model import ImageSpec


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one image: one of `built` and `error` is set."""

    address: Path
    built: Built | None = None
    error: ImagekitError | None = None


def build_all(
    specs: Mapping[Path, ImageSpec], build_one: Callable[[Path], Built], jobs: int
) -> Iterator[Outcome]:
    """Build every one of `specs`, `jobs` at a time, and yield what became of them in their order.

    The largest are begun first, as their locks tell, so that none is left for the end; one that
    stands on another of them waits for that one, whose layers it has. One that fails doesn't stop
    the others; leaving the iteration early begins no more of them, and ends those under way. A
    single one is built in the caller's thread, which interrupts reach.
    """
    if len(specs) == 1:
        yield from (_attempt(address, build_one) for address in specs)
        return
    with ThreadPoolExecutor(jobs, thread_name_prefix="build") as pool:
        below = ancestors(specs)
        running: dict[Path, Future[Outcome]] = {}
        for address in sorted(specs, key=lambda each: (len(below[each]), -_weight(each))):
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


def _weight(address: Path) -> float:
    """The bytes that its wheels have; more than any where there is no lock yet."""
    try:
        locks = file.read(file.lock_path(address))
    except LockError:
        locks = None
    if locks is None:
        return float("inf")
    return sum(wheel.size_bytes or 0 for lock in locks for wheel in lock.packages)
