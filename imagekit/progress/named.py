# SPDX-License-Identifier: Apache-2.0
"""One piece of a run with many: its steps carry its name, and end with it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import final

from imagekit.progress import Progress, Task


@contextlib.contextmanager
def named(progress: Progress, name: str) -> Iterator[Progress]:
    """`progress`, whose labels begin with `name` where there is one.

    Where the block fails, its steps that still run have failed.
    """
    mine = _Named(progress, f"{name}: " if name else "")
    try:
        yield mine
    except BaseException:
        for task in mine.begun:
            task.failed("")
        raise


@final
class _Named:
    def __init__(self, progress: Progress, prefix: str) -> None:
        self._progress = progress
        self._prefix = prefix
        self.begun: list[Task] = []

    def task(self, label: str, total_bytes: int | None = None) -> Task:
        task = self._progress.task(self._prefix + label, total_bytes)
        self.begun.append(task)
        return task
