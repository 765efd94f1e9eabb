# SPDX-License-Identifier: Apache-2.0
"""Making a process that was started by `python -I` the one that a task's author expects.

`-I` keeps the runtime safe from the user's files and variables until it has started. Then this
applies what users rely on: the working directory first on the path, then PYTHONPATH, and
PYTHONDONTWRITEBYTECODE and PYTHONFAULTHANDLER. Output is never held back, as under
PYTHONUNBUFFERED, so that none is lost when the process is killed. Other PYTHON* variables (such as
PYTHONHASHSEED, PYTHONWARNINGS, PYTHONSTARTUP) and user site-packages have no effect on the task
itself; programs that it starts see them all.
"""

from __future__ import annotations

import faulthandler
import io
import os
import sys

from . import signals
from .errors import Interrupted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType
    from typing import TextIO


def prepare(environ: Mapping[str, str]) -> None:
    _extend_path(environ.get("PYTHONPATH", ""))
    if environ.get("PYTHONDONTWRITEBYTECODE"):
        sys.dont_write_bytecode = True
    for name in ("stdout", "stderr"):
        straight = _unbuffered(getattr(sys, name))
        setattr(sys, name, straight)
        setattr(sys, f"__{name}__", straight)
    _hide_our_main()
    signals.set_handler(signals.SIGTERM, _interrupt)
    if signals.getsignal(signals.SIGINT) is not signals.SIG_IGN:
        signals.set_handler(signals.SIGINT, _keyboard_interrupt)
    if sys.stderr is not None:
        faulthandler.register(signals.SIGUSR1)
        if environ.get("PYTHONFAULTHANDLER"):
            faulthandler.enable()


def settle() -> None:
    """The task has ended: let nothing interrupt the writing of what it left."""
    for number in (signals.SIGTERM, signals.SIGINT, signals.SIGHUP, signals.SIGQUIT):
        signals.set_handler(number, signals.SIG_IGN)


_keyboard: list[int] = []


def was_keyboard_interrupted() -> bool:
    """Whether a SIGINT came, which a KeyboardInterrupt alone does not say."""
    return bool(_keyboard)


def _extend_path(python_path: str) -> None:
    try:
        here = os.getcwd()
    except OSError:
        here = ""
    wanted = [here]
    if python_path:
        wanted += [os.path.abspath(entry) if entry else here for entry in python_path.split(":")]
    sys.path[:0] = [entry for entry in dict.fromkeys(wanted) if entry]


class _Straight(io.BufferedWriter):
    """Writes through at once, and all of it, where a raw file may write a part."""

    def write(self, data: bytes) -> int:  # type: ignore[override]
        count = super().write(data)
        self.flush()
        return count


def _unbuffered(stream: TextIO | None) -> TextIO | None:
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    raw = io.FileIO(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        _Straight(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        newline="\n",
        write_through=True,
    )


def _hide_our_main() -> None:
    """Multiprocessing starts its workers by running `__main__` again; the task has none."""
    name = "__main__"
    _kept.append(sys.modules[name])
    sys.modules[name] = type(sys)(name)


_kept: list[object] = []
_on_cancel: list[Callable[[], object]] = []


def on_cancel(hook: Callable[[], object]) -> None:
    """Have this called when the task is told to stop, before the exception that ends it.

    It runs once, in the main thread, between two steps of whatever that is doing, last registered
    first; the grace period is what it has. What it raises is printed, and the next one runs.

    Example:
        >>> on_cancel(lambda: print("saving"))
    """
    _on_cancel.append(hook)


def _interrupt(number: int, frame: FrameType | None) -> None:
    del frame
    if _on_cancel:
        signals.set_handler(number, signals.SIG_IGN)
        _run_hooks()
        signals.set_handler(number, _interrupt)
    raise Interrupted(number)


def _run_hooks() -> None:
    while _on_cancel:
        try:
            _on_cancel.pop()()
        except BaseException:  # noqa: BLE001
            sys.excepthook(*sys.exc_info())


def _keyboard_interrupt(number: int, frame: FrameType | None) -> None:
    _keyboard.append(number)
    signals.default_int_handler(number, frame)
