# SPDX-License-Identifier: Apache-2.0
"""What has to be told when the user interrupts: Python interrupts its main thread alone."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

_guard = threading.Lock()
_waiting: list[Callable[[], object]] = []


@contextlib.contextmanager
def told_of_interrupts(cancel: Callable[[], object]) -> Iterator[None]:
    """While the block runs in whatever thread, `cancel` is called if `tell_all` is."""
    with _guard:
        _waiting.append(cancel)
    try:
        yield
    finally:
        with _guard:
            _waiting.remove(cancel)


def tell_all() -> None:
    """End what is under way in other threads; call it where an interrupt arrives."""
    with _guard:
        callbacks = list(_waiting)
    for cancel in callbacks:
        cancel()
