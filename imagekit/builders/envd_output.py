# SPDX-License-Identifier: Apache-2.0
"""What envd prints while it builds, as the events that every builder's display hears.

BuildKit's plain display: `#N NAME` when a step is first told of, `#N SECONDS TEXT` for what it
prints, and `#N DONE SECONDS`, `#N CACHED` or `#N ERROR: WHY` when it ends.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from typing import final

from imagekit.buildkit.status import (
    Event,
    Listener,
    StepEnded,
    StepOutput,
    StepStarted,
)
from imagekit.errors import BuildError

_LINE = re.compile(r"#(?P<number>\d+) (?P<text>.*)", re.DOTALL)
_TIMED = re.compile(r"\d+\.\d+ (?P<text>.*)", re.DOTALL)
_DONE = re.compile(r"DONE (?P<seconds>\d+\.\d+)s")
_FATAL = re.compile(r'level=fatal .*?error="(?P<text>(?:[^"\\]|\\.)*)"')
_SHELL = "bash -c set -euo pipefail"
"""How the name of a `run` begins; its command stands on the next line."""
_ASIDE = 0
"""The number of what belongs to no step that is running."""
_LINES_SHOWN = 20


@final
class Output:
    """Takes lines from any thread; `listener` hears one event at a time."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._guard = threading.Lock()
        self._running: dict[int, str] = {}
        self._ended: set[int] = set()
        self._last = 0
        self._unnamed = 0
        self._tail: deque[str] = deque(maxlen=_LINES_SHOWN)
        self._failed = ""
        self._fatal = ""

    def hear(self, line: bytes) -> None:
        """One line, with its end."""
        text = line.decode(errors="replace").rstrip("\r\n")
        with self._guard:
            if fatal := _FATAL.search(text):
                self._fatal = re.sub(r"\\(.)", r"\1", fatal["text"].replace(r"\n", "\n"))
            found = _LINE.fullmatch(text)
            if found is not None:
                self._last = int(found["number"])
                self._step(self._last, found["text"])
            elif self._unnamed:
                self._start(self._unnamed, text)
            elif text:
                self._print(self._last, text)

    def close(self) -> None:
        """Nothing more comes: steps that were not ended never will."""
        for number in list(self._running):
            error = "" if number == _ASIDE else "it did not end"
            self._end(StepEnded(number, 0.0, cached=False, error=error))

    def explained(self, code: int) -> BuildError:
        """The error of a build that ended with `code`, with what was printed last."""
        why = f"{self._failed}: {self._fatal}" if self._failed else self._fatal
        log = "".join(f"\n  | {line}" for line in self._tail)
        return BuildError(f"building with envd: {why or f'it ended with {code}'}{log}")

    def _step(self, number: int, text: str) -> None:
        if self._unnamed:
            self._start(self._unnamed, _SHELL)
        if number not in self._running and number not in self._ended:
            if text == _SHELL:
                self._unnamed = number
            else:
                self._start(number, text)
        elif text == "CACHED":
            self._end(StepEnded(number, 0.0, cached=True, error=""))
        elif done := _DONE.fullmatch(text):
            self._end(StepEnded(number, float(done["seconds"]), cached=False, error=""))
        elif text.startswith("ERROR: "):
            self._failed = self._running.get(number, "")
            self._end(StepEnded(number, 0.0, cached=False, error=text.removeprefix("ERROR: ")))
        elif text not in ("...", _SHELL, self._running.get(number)):
            timed = _TIMED.fullmatch(text)
            self._print(number, text if timed is None else timed["text"])

    def _start(self, number: int, name: str) -> None:
        self._unnamed = 0
        self._running[number] = name
        self._tell(StepStarted(number, name))

    def _print(self, number: int, text: str) -> None:
        self._tail.append(text)
        if number not in self._running:
            number = _ASIDE
            if _ASIDE not in self._running:
                self._start(_ASIDE, "envd")
        self._tell(StepOutput(number, text.encode() + b"\n"))

    def _end(self, event: StepEnded) -> None:
        if self._running.pop(event.number, None) is not None:
            self._ended.add(event.number)
            self._tell(event)

    def _tell(self, event: Event) -> None:
        self._listener.hear(event)
