# SPDX-License-Identifier: Apache-2.0
"""Works on many specs at the same time: those that stand on others after them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from imagekit.interrupts import tell_all

_Result = TypeVar("_Result")


def results(
    order: Iterable[Path],
    below: Mapping[Path, Sequence[Path]],
    work: Callable[[Path], _Result],
    jobs: int,
) -> Iterator[_Result]:
    """What `work` gives for each of `below`, in its order; it raises only what ends all.

    Args:
        order: the same addresses, in the order in which they are begun: those that others stand on
            before them.
        below: by address those that it stands on, which are done before it.
        work: called from `jobs` threads.
        jobs: how many at once. A single address is worked on in the caller's thread, which
            interrupts reach.

    Leaving the iteration early begins no more, and ends what is under way.
    """
    if len(below) == 1:
        yield from map(work, below)
        return
    with ThreadPoolExecutor(jobs, thread_name_prefix="spec") as pool:
        running: dict[Path, Future[_Result]] = {}
        for address in order:
            # These are begun already, so that waiting for them can't use up the pool.
            first = [running[each] for each in below[address]]
            running[address] = pool.submit(_after, first, address, work)
        try:
            for address in below:
                yield running[address].result()
        except BaseException:
            tell_all()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def _after(
    first: Sequence[Future[_Result]], address: Path, work: Callable[[Path], _Result]
) -> _Result:
    """One that fails says why itself, and what stands on it is tried all the same."""
    for each in first:
        each.result()  # which raises where that one was interrupted
    return work(address)
