# SPDX-License-Identifier: Apache-2.0
"""Learns when containers have started: the engine tells, and is not asked again and again."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict

from imagekit.errors import EngineError
from imagekit.pods.program import Program

_SECONDS = 15.0


class Starts:
    def __init__(self, program: Program, label: str) -> None:
        self._program = program
        self._label = label
        self._seen: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._task: asyncio.Task[None] | None = None

    def of(self, name: str) -> asyncio.Event:
        """Set once the engine's container of that name has started."""
        return self._seen[name]

    async def open(self) -> None:
        process = await self._program.start(
            *("events", "--filter", f"label={self._label}", "--filter", "event=start"),
            *("--format", self._program.dialect.event_name),
            errors=asyncio.subprocess.DEVNULL,
        )
        self._task = asyncio.get_running_loop().create_task(self._listen(process))

    async def check(self, name: str) -> None:
        """Wait for the first container, so that no later one is missed; raises EngineError."""
        try:
            await asyncio.wait_for(self.of(name).wait(), _SECONDS)
        except asyncio.TimeoutError as error:
            raise EngineError(f"{self._program.name} events: it told of no start") from error

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        try:
            while process.stdout and (line := await process.stdout.readline()):
                self.of(line.decode().strip()).set()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
