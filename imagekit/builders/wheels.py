# SPDX-License-Identifier: Apache-2.0
"""The wheels of a build: downloaded ahead, in the order in which layers will ask for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from imagekit.fetch import fetch
from imagekit.layers.wheel_file import WheelFile
from imagekit.lock.model import LockedWheel
from imagekit.progress import Progress, reason
from imagekit.urls import with_credentials
from imagekit.values import frozen

_CONNECTIONS = 8


@frozen
class Supply:
    """Where the wheels of a lock come from.

    Attributes:
        addresses: URLs of the spec: a lock holds no credentials, and theirs are used.
        build: gives the file of a wheel that no index has, building it again where it must.
    """

    addresses: Sequence[str]
    build: Callable[[LockedWheel], Path]


class Wheels:
    """Fetches the wheels of `expected` at once, others when asked for. Any thread may ask."""

    def __init__(self, expected: Sequence[LockedWheel], supply: Supply, progress: Progress) -> None:
        self._supply = supply
        self._guard = threading.Lock()
        self._pool = ThreadPoolExecutor(_CONNECTIONS)
        self._awaited = len(expected)
        total = sum(wheel.size_bytes or 0 for wheel in expected)
        self._task = progress.task(f"fetching {len(expected)} wheels", total) if expected else None
        self._files = {wheel.sha256: self._pool.submit(self._fetch, wheel) for wheel in expected}
        for each in list(self._files.values()):
            each.add_done_callback(self._arrived)

    def file(self, wheel: LockedWheel) -> WheelFile:
        """The wheel on disk; waits for its download. One that was not expected begins it."""
        with self._guard:
            if wheel.sha256 not in self._files:
                self._files[wheel.sha256] = self._pool.submit(self._fetch, wheel)
        return WheelFile(self._files[wheel.sha256].result(), wheel.filename, wheel.sha256)

    def close(self) -> None:
        """End what is still under way."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._task is not None:
            self._task.done()

    def _arrived(self, fetched: Future[Path]) -> None:
        with self._guard:
            self._awaited -= 1
            last = self._awaited == 0
        if self._task is None or fetched.cancelled():
            return
        if error := fetched.exception():
            self._task.failed(reason(error))
        elif last:
            self._task.done()

    def _fetch(self, wheel: LockedWheel) -> Path:
        if wheel.built is not None:
            return self._supply.build(wheel)
        return fetch(
            [] if wheel.url is None else [with_credentials(wheel.url, self._supply.addresses)],
            sha256=wheel.sha256,
            size_bytes=wheel.size_bytes,
            name=wheel.filename,
            advance=None if self._task is None else self._task.advance,
        )
