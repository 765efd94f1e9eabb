# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C reaches every thread: Python interrupts its main one alone."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

_IMPORTING_SECONDS = 0.05
_NUDGES_SECONDS = (0.01, 0.1, 1.0)
_NUDGE = signal.SIGURG

# Reentrant: the handler runs in the middle of whatever its thread does.
_guard = threading.RLock()
_changed = threading.Condition(_guard)
_waiting: list[Callable[[], object]] = []
_told = [False]


@contextlib.contextmanager
def heard() -> Iterator[None]:
    """During the block SIGINT ends the work of all threads, and a second one the process at once.

    Only a main thread can hear; in others nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, _interrupt)
    try:
        with _woken():
            yield
    finally:
        signal.signal(signal.SIGINT, before)
        _told[0] = False


def check() -> None:
    """Raise KeyboardInterrupt if the run was interrupted: for loops of threads that work for it."""
    if _told[0]:
        raise KeyboardInterrupt


def pause(seconds: float) -> None:
    """Wait so long, or until the run is interrupted: then it raises as `check` does."""
    with _changed:
        _changed.wait_for(lambda: _told[0], seconds)
    check()


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
    with _changed:
        _told[0] = True
        _changed.notify_all()
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


def _interrupt(number: int, frame: FrameType | None) -> None:
    if _imports(frame):
        # An exception in there may leave the lock of all imports held.
        threading.Timer(_IMPORTING_SECONDS, os.kill, (os.getpid(), number)).start()
        return
    if _told[0]:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    tell_all()
    raise KeyboardInterrupt


@contextlib.contextmanager
def _woken() -> Iterator[None]:
    """During the block signals reach the main thread also where it waits for a lock.

    Python runs its handlers between two steps of the main thread. A signal that comes just before
    that begins to wait, or that another thread takes, would be left until the wait is over.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    handler = signal.signal(_NUDGE, lambda _number, _frame: None)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    done = threading.Event()
    watcher = threading.Thread(target=_nudge, args=(reading, done), name="signals", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        done.set()
        os.close(writing)
        watcher.join()
        os.close(reading)
        signal.signal(_NUDGE, handler)


def _nudge(reading: int, done: threading.Event) -> None:
    """Let the main thread look for signals, a little after each; a nudge can be too early too."""
    main = threading.main_thread().ident
    assert main is not None  # noqa: S101 - it runs
    while number := os.read(reading, 1):
        for seconds in _NUDGES_SECONDS if number[0] != _NUDGE else ():
            if not done.wait(seconds):
                signal.pthread_kill(main, _NUDGE)


def _imports(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
