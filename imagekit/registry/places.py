# SPDX-License-Identifier: Apache-2.0
"""Where the blobs of one registry are known to be, for all pushes of a process.

Several images that are built together share layers: of pushes that want one blob, one brings it,
and the others wait and mount it, or find it there.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import final


@final
class Places:
    """Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[str, threading.Lock] = {}
        self._repositories: dict[str, set[str]] = {}

    @contextlib.contextmanager
    def alone(self, digest: str) -> Iterator[None]:
        """Wait until nobody else brings this blob anywhere."""
        with self._lock:
            guard = self._under_way.setdefault(digest, threading.Lock())
        with guard:
            yield

    def has(self, digest: str, repository: str) -> bool:
        with self._lock:
            return repository in self._repositories.get(digest, ())

    def near(self, digest: str) -> str:
        """A repository that has the blob, or an empty text."""
        with self._lock:
            return min(self._repositories.get(digest, ()), default="")

    def add(self, digest: str, repository: str) -> None:
        """Note that the repository has the blob: it was seen there, mounted or sent."""
        with self._lock:
            self._repositories.setdefault(digest, set()).add(repository)
