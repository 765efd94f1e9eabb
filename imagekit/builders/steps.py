# SPDX-License-Identifier: Apache-2.0
"""A worker's steps in the display that every builder uses."""

from __future__ import annotations

from typing import final

from imagekit.buildkit.status import Event, StepEnded, StepStarted
from imagekit.progress import Progress, Task


@final
class StepTasks:
    """Shows each step as a task."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[int, Task] = {}

    def hear(self, event: Event) -> None:
        if isinstance(event, StepStarted):
            self._tasks[event.number] = self._progress.task(event.name)
        elif isinstance(event, StepEnded):
            self._tasks.pop(event.number).done()
