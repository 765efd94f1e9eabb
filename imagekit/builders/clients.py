# SPDX-License-Identifier: Apache-2.0
"""One registry client for several builds, loaded and made when the first of them asks."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from imagekit.progress import Progress

if TYPE_CHECKING:
    from imagekit.registry.client import RegistryClient


@contextlib.contextmanager
def client_when_asked(progress: Progress) -> Iterator[Callable[[], RegistryClient]]:
    """What gives the client, to any thread; one that was made is closed after the block."""
    made: list[RegistryClient] = []
    guard = threading.Lock()

    def client() -> RegistryClient:
        with guard:
            if not made:
                from imagekit.registry.client import RegistryClient  # noqa: PLC0415 - see above

                made.append(RegistryClient(progress=progress))
            return made[0]

    try:
        yield client
    finally:
        for each in made:
            each.close()
