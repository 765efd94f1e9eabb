# SPDX-License-Identifier: Apache-2.0
"""Runs a program in the foreground, as a shell would, and passes our signals on to it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from types import FrameType

_FORWARDED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
_OF_THE_KEYBOARD = (signal.SIGINT, signal.SIGQUIT)


def own_terminal() -> bool:
    """Whether our stdin is a terminal: then the program has to be in its foreground group."""
    return os.isatty(0)


@contextlib.contextmanager
def forwarding(process: subprocess.Popen[bytes], *, keyboard: bool) -> Iterator[None]:
    """While the block runs, our signals go to `process`, and don't end us.

    Args:
        process: gets the signals.
        keyboard: also those that a terminal sends; False where it sends them to `process` too.
    """

    def forward(number: int, _: FrameType | None) -> None:
        if keyboard or number not in _OF_THE_KEYBOARD:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)

    # Python lets the main thread alone set handlers.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, forward) for number in _FORWARDED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_code(return_code: int) -> int:
    """A shell's way to say it: 128 and the signal."""
    return 128 - return_code if return_code < 0 else return_code
