# SPDX-License-Identifier: Apache-2.0
"""A worker's steps in the display that every builder uses."""

from __future__ import annotations

from typing import final

from imagekit.buildkit.status import (
    Event,
    StepAmount,
    StepEnded,
    StepOutput,
    StepStarted,
    StepWarning,
)
from imagekit.progress import Progress, Task


@final
class StepTasks:
    """Shows each step as a task."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[int, Task] = {}
        self._amounts: dict[tuple[int, str], int] = {}

    def hear(self, event: Event) -> None:
        if isinstance(event, StepStarted):
            self._tasks[event.number] = self._progress.task(event.name)
        elif isinstance(event, StepEnded):
            self._ended(self._tasks.pop(event.number), event)
        elif task := self._tasks.get(event.number):
            self._tell(task, event)

    def _ended(self, task: Task, event: StepEnded) -> None:
        if event.error:
            task.failed(event.error)
        else:
            task.done(cached=event.cached)

    def _tell(self, task: Task, event: StepOutput | StepAmount | StepWarning) -> None:
        if isinstance(event, StepOutput):
            task.output(event.text)
        elif isinstance(event, StepWarning):
            task.output(f"warning: {event.text}\n".encode())
        else:
            before = self._amounts.get((event.number, event.what), 0)
            self._amounts[event.number, event.what] = event.current
            task.advance(event.current - before)
