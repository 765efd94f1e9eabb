# SPDX-License-Identifier: Apache-2.0
"""How long work is shown: bars on a terminal, plain lines elsewhere, or nothing.

Library code takes a `Progress` and never asks where the output goes.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol, TextIO

from imagekit.sizes import shown_size

if TYPE_CHECKING:
    from rich.progress import Progress as RichBars
    from rich.progress import TaskID

_LINE_INTERVAL_SECONDS = 5.0


class Task(Protocol):
    """One piece of work under way. Any thread may call it."""

    def advance(self, size_bytes: int) -> object:
        """Count bytes that were just done; negative when the work starts over."""

    def done(self) -> object:
        """Say that the work has ended; call once."""


class Progress(Protocol):
    def task(self, label: str, total_bytes: int | None = None) -> Task:
        """Show a new piece of work; without a total, only that it runs. Any thread may call it."""


class Silent:
    """Shows nothing; also the handle of each of its tasks."""

    def task(self, label: str, total_bytes: int | None = None) -> Task:
        del label, total_bytes
        return self

    def advance(self, size_bytes: int) -> None:
        del size_bytes

    def done(self) -> None:
        return None


class Lines:
    """A line when work starts, at most one per interval while it runs, and one when it ends."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._lock = threading.Lock()

    def task(self, label: str, total_bytes: int | None = None) -> Task:
        self._say(label)
        return _LineTask(label, total_bytes, self._say, self._clock)

    def _say(self, line: str) -> None:
        with self._lock:
            self._stream.write(line + "\n")
            self._stream.flush()


class _LineTask:
    def __init__(
        self,
        label: str,
        total_bytes: int | None,
        say: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self._label = label
        self._total_bytes = total_bytes
        self._say = say
        self._clock = clock
        self._lock = threading.Lock()
        self._done_bytes = 0
        self._said_at = clock()

    def advance(self, size_bytes: int) -> None:
        with self._lock:
            self._done_bytes += size_bytes
            now = self._clock()
            if now - self._said_at < _LINE_INTERVAL_SECONDS:
                return
            self._said_at = now
            line = f"{self._label}: {self._amount()}"
        self._say(line)

    def done(self) -> None:
        amount = f" ({shown_size(self._done_bytes)})" if self._done_bytes else ""
        self._say(f"{self._label}: done{amount}")

    def _amount(self) -> str:
        if self._total_bytes is None:
            return shown_size(self._done_bytes)
        return f"{shown_size(self._done_bytes)} of {shown_size(self._total_bytes)}"


class _Bars:
    """Bars by rich, which does its own locking."""

    def __init__(self, bars: RichBars) -> None:
        self._bars = bars

    def task(self, label: str, total_bytes: int | None = None) -> Task:
        from rich.markup import escape  # noqa: PLC0415 - rich is for terminals only

        return _BarTask(self._bars, self._bars.add_task(escape(label), total=total_bytes))


class _BarTask:
    def __init__(self, bars: RichBars, identifier: TaskID) -> None:
        self._bars = bars
        self._identifier = identifier

    def advance(self, size_bytes: int) -> None:
        self._bars.advance(self._identifier, size_bytes)

    def done(self) -> None:
        self._bars.remove_task(self._identifier)


@contextlib.contextmanager
def open_progress(
    stream: TextIO, environ: Mapping[str, str], *, quiet: bool = False
) -> Iterator[Progress]:
    """The progress that fits `stream`: bars on a terminal, lines elsewhere; quiet shows nothing."""
    if quiet:
        yield Silent()
    elif stream.isatty() and environ.get("TERM") != "dumb":
        with _rich_bars(stream, colour=not environ.get("NO_COLOR")) as bars:
            yield _Bars(bars)
    else:
        yield Lines(stream)


def _rich_bars(stream: TextIO, *, colour: bool) -> RichBars:
    from rich.console import Console  # noqa: PLC0415 - rich is for terminals only
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn  # noqa: PLC0415

    console = Console(file=stream, no_color=not colour)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    return Progress(*columns, console=console, transient=True)
