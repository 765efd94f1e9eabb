# SPDX-License-Identifier: Apache-2.0
"""Steps on a terminal, which redraws them while they run. Rich is imported here alone."""

from __future__ import annotations

import threading
import time
from typing import TextIO, final

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from imagekit.progress.board import Step
from imagekit.progress.plain import shown_amount

_PER_SECOND = 8
_LINES_BESIDE = 3


@final
class LiveDisplay:
    """A line for each step, with its time; below those that run, the last lines they printed.

    What ended first gives way where the terminal has too few lines. At the end all are left there.
    """

    def __init__(self, stream: TextIO, *, colour: bool) -> None:
        self._console = Console(file=stream, no_color=not colour, highlight=False)
        self._live: Live | None = None
        self._guard = threading.Lock()
        self._steps: list[Step] = []
        self._over = False

    def began(self, step: Step) -> None:
        with self._guard:
            self._steps.append(step)
        if self._live is None:
            # Data must not be caught on its way to stdout, which may be a pipe.
            self._live = Live(
                console=self._console,
                get_renderable=self._table,
                refresh_per_second=_PER_SECOND,
                redirect_stdout=False,
            )
            self._live.start()

    def advanced(self, step: Step, now: float) -> None:
        """Seen at the next redrawing."""

    def printed(self, step: Step, line: str, now: float) -> None:
        """Seen at the next redrawing."""

    def ended(self, step: Step) -> None:
        """Seen at the next redrawing."""

    def closed(self, error: str) -> None:
        del error
        self._over = True
        if self._live is not None:
            self._live.stop()

    def _table(self) -> Table:
        with self._guard:
            steps = list(self._steps)
        room = self._console.size.height - _LINES_BESIDE
        shown = steps if self._over else _fitting(steps, room)
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        table.add_column(justify="right", no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        if len(shown) < len(steps):
            table.add_row(Text(f"   {len(steps) - len(shown)} more steps ended", style="dim"))
        for step in shown:
            self._add(table, step)
        return table

    def _add(self, table: Table, step: Step) -> None:
        running = step.state == "running"
        took = time.monotonic() - step.began if running else step.took
        table.add_row(_title(step), shown_amount(step), f"{took:.1f}s")
        if running or (step.state == "failed" and self._over):
            for line in list(step.tail):
                table.add_row(Text(f"   | {line}", style="dim"))


_MARKS = {
    "running": ("=> ", "cyan"),
    "done": ("=> ", ""),
    "cached": ("=> CACHED ", "blue"),
    "failed": ("=> ERROR ", "red"),
    "canceled": ("=> CANCELED ", "yellow"),
}


def _title(step: Step) -> Text:
    mark, style = _MARKS[step.state]
    return Text(mark + step.label, style=style)


def _fitting(steps: list[Step], room: int) -> list[Step]:
    """Those that run, and of the others the latest, in their order."""
    lines = sum(1 + len(step.tail) for step in steps if step.state == "running")
    spare = max(room - lines, 0)
    ended = [step.number for step in steps if step.state != "running"]
    kept = set(ended[len(ended) - spare :] if spare else ())
    return [step for step in steps if step.state == "running" or step.number in kept]
