# SPDX-License-Identifier: Apache-2.0
"""Steps for programs: one JSON object per line."""

from __future__ import annotations

import json
from typing import Any, final

from imagekit.progress.board import Step
from imagekit.progress.plain import Writable

_INTERVAL_SECONDS = 0.5


@final
class Records:
    """Events `began`, `advanced`, `printed`, `ended`, and `closed` at last.

    Steps have numbers from 1; `seconds` count from the step's beginning, sizes are bytes.
    """

    def __init__(self, stream: Writable) -> None:
        self._stream = stream
        self._said: dict[int, float] = {}

    def began(self, step: Step) -> None:
        self._write("began", step, label=step.label, total_bytes=step.total_bytes)

    def advanced(self, step: Step, now: float) -> None:
        if now - self._said.get(step.number, step.began) >= _INTERVAL_SECONDS:
            self._said[step.number] = now
            self._write("advanced", step, done_bytes=step.done_bytes, seconds=_of(step, now))

    def printed(self, step: Step, line: str, now: float) -> None:
        self._write("printed", step, line=line, seconds=_of(step, now))

    def ended(self, step: Step) -> None:
        self._said.pop(step.number, None)
        told: dict[str, Any] = {"state": step.state, "done_bytes": step.done_bytes}
        if step.reason:
            told["reason"] = step.reason
        self._write("ended", step, **told, seconds=round(step.took, 3))

    def closed(self, error: str) -> None:
        self._line({"event": "closed", "error": error or None})

    def _write(self, event: str, step: Step, **values: Any) -> None:
        self._line({"event": event, "step": step.number, **values})

    def _line(self, values: dict[str, Any]) -> None:
        self._stream.write(json.dumps(values) + "\n")
        self._stream.flush()


def _of(step: Step, now: float) -> float:
    return round(now - step.began, 3)
