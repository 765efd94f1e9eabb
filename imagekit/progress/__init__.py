# SPDX-License-Identifier: Apache-2.0
"""How long work is shown. Library code takes a `Progress`, and never asks where the output goes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol


class Task(Protocol):
    """One piece of work under way. Any thread may call it."""

    def advance(self, size_bytes: int) -> object:
        """Count bytes that were just done; negative when the work starts over."""

    def output(self, text: bytes) -> object:
        """Show what a program of the work printed, in pieces of any size."""

    def done(self, *, cached: bool = False) -> object:
        """Say that the work has ended, or that an earlier one's result stands; call once."""

    def failed(self, reason: str) -> object:
        """Say that it ended without a result; call once, instead of `done`."""


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

    def output(self, text: bytes) -> None:
        del text

    def done(self, *, cached: bool = False) -> None:
        del cached

    def failed(self, reason: str) -> None:
        del reason


@contextlib.contextmanager
def watched(task: Task) -> Iterator[Task]:
    """The task is done when the block is; it failed when the block did."""
    try:
        yield task
    except BaseException as error:
        task.failed(reason(error))
        raise
    task.done()


def reason(error: BaseException) -> str:
    """For people, why something failed."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return getattr(error, "message", "") or type(error).__name__
