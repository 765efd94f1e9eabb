# SPDX-License-Identifier: Apache-2.0
"""What has to be told when the user interrupts: Python interrupts its main thread alone."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

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


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM interrupts the block, so that all that it opened is closed."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
