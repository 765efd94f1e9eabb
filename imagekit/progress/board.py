# SPDX-License-Identifier: Apache-2.0
"""Numbers the steps of a run, keeps their time, and tells every display of them."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias, final

State: TypeAlias = Literal["running", "done", "cached", "failed", "canceled"]

TAIL_LINES = 6
_MOST_PENDING_BYTES = 65536
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f]"
)


@dataclass(slots=True)
class Step:
    """One piece of work. Times are seconds: `began` by the board's clock, `took` until its end."""

    number: int
    label: str
    total_bytes: int | None
    began: float
    done_bytes: int = 0
    state: State = "running"
    took: float = 0.0
    reason: str = ""
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))


class Display(Protocol):
    """Shows steps. The board calls it from any thread, one call at a time."""

    def began(self, step: Step) -> None: ...

    def advanced(self, step: Step, now: float) -> None: ...

    def printed(self, step: Step, line: str, now: float) -> None: ...

    def ended(self, step: Step) -> None: ...

    def closed(self, error: str) -> None:
        """The run is over; `error` is empty where it went well."""


@final
class Board:
    """The `Progress` of a run."""

    def __init__(
        self, displays: Sequence[Display], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._displays = displays
        self._clock = clock
        self._guard = threading.RLock()
        self._began = 0
        self._running: dict[int, _BoardTask] = {}
        self._closed = False

    def task(self, label: str, total_bytes: int | None = None) -> _BoardTask:
        with self._guard:
            self._began += 1
            step = Step(self._began, _one_line(label), total_bytes, self._clock())
            task = _BoardTask(self, step)
            if not self._closed:
                self._running[step.number] = task
                for display in self._displays:
                    display.began(step)
            return task

    def close(self, error: str = "") -> None:
        """End what still runs, and the displays."""
        with self._guard:
            running = list(self._running.values())
            self._closed = True
        for task in running:
            task.end("canceled" if error else "done")
        with self._guard:
            for display in self._displays:
                display.closed(error)

    def advanced(self, step: Step, size_bytes: int) -> None:
        with self._guard:
            step.done_bytes += size_bytes
            if step.number in self._running:
                for display in self._displays:
                    display.advanced(step, self._clock())

    def printed(self, step: Step, lines: Sequence[str]) -> None:
        with self._guard:
            step.tail.extend(lines)
            if step.number in self._running:
                for display in self._displays:
                    for line in lines:
                        display.printed(step, line, self._clock())

    def ended(self, step: Step, state: State, reason: str) -> None:
        with self._guard:
            if self._running.pop(step.number, None) is None:
                return
            step.state, step.reason = state, reason
            step.took = self._clock() - step.began
            for display in self._displays:
                display.ended(step)


@final
class _BoardTask:
    def __init__(self, board: Board, step: Step) -> None:
        self._board = board
        self._step = step
        self._guard = threading.Lock()
        self._pending = b""

    def advance(self, size_bytes: int) -> None:
        self._board.advanced(self._step, size_bytes)

    def output(self, text: bytes) -> None:
        with self._guard:
            *lines, self._pending = (self._pending + text).replace(b"\r", b"\n").split(b"\n")
            if len(self._pending) > _MOST_PENDING_BYTES:
                lines, self._pending = [*lines, self._pending], b""
            self._print(lines)

    def done(self, *, cached: bool = False) -> None:
        self.end("cached" if cached else "done")

    def failed(self, reason: str) -> None:
        self.end("failed", reason)

    def end(self, state: State, reason: str = "") -> None:
        with self._guard:
            rest, self._pending = self._pending, b""
            self._print([rest])
        self._board.ended(self._step, state, reason)

    def _print(self, lines: Sequence[bytes]) -> None:
        shown = [_CONTROL.sub("", line.decode(errors="replace")) for line in lines if line.strip()]
        if shown:
            self._board.printed(self._step, shown)


def _one_line(label: str) -> str:
    first, *more = label.splitlines() or [""]
    return _CONTROL.sub("", first) + (" ..." if more else "")
