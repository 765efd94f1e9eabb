# SPDX-License-Identifier: Apache-2.0
"""Builds many images at the same time, the largest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from imagekit.builders.model import Built
from imagekit.errors import ImagekitError, LockError
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

    The largest are begun first, as their locks tell, so that none is left for the end. One that
    fails doesn't stop the others; leaving the iteration early begins no more of them, and ends
    those under way. A single one is built in the caller's thread, which interrupts reach.
    """
    if len(specs) == 1:
        yield from (_attempt(address, build_one) for address in specs)
        return
    with ThreadPoolExecutor(jobs, thread_name_prefix="build") as pool:
        begun = sorted(specs, key=_weight, reverse=True)
        running = {address: pool.submit(_attempt, address, build_one) for address in begun}
        try:
            for address in specs:
                yield running[address].result()
        except BaseException:
            tell_all()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


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
