# SPDX-License-Identifier: Apache-2.0
"""One command, timed; many timings, shown."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True, slots=True)
class Timing:
    """`cpu_seconds` is of the process and of the children that it waited for.

    The processes that compile batches of bytecode are forked by the base's interpreter, which
    waits for none: they are not in it, and take more than all that is.
    """

    wall_seconds: float
    cpu_seconds: float

    def __add__(self, other: Timing) -> Timing:
        return Timing(self.wall_seconds + other.wall_seconds, self.cpu_seconds + other.cpu_seconds)


def timed(command: Sequence[str | Path], environ: Mapping[str, str], log: Path) -> Timing:
    """Run `command` once, its output appended to `log`; raises if it fails.

    What earlier commands wrote is flushed first, so that nobody pays for another's disk.
    """
    os.sync()
    with log.open("ab") as sink:
        started = time.monotonic()
        process = subprocess.Popen(command, env=dict(environ), stdout=sink, stderr=sink)
        _, status, usage = os.wait4(process.pid, 0)
        wall_seconds = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{command[0]} failed with {process.returncode}; see {log}")
    return Timing(wall_seconds, usage.ru_utime + usage.ru_stime)


def medians(timings: Mapping[tuple[str, str], Sequence[float]]) -> dict[tuple[str, str], float]:
    return {key: median(values) for key, values in timings.items()}


def table(values: Mapping[tuple[str, str], float], form: str) -> str:
    """A Markdown table; keys are (row, column), in the order of their first appearance."""
    rows = list(dict.fromkeys(row for row, _ in values))
    columns = list(dict.fromkeys(column for _, column in values))
    cells = [["", *columns]]
    for row in rows:
        known = [(row, column) in values for column in columns]
        shown = [
            form.format(values[row, column]) if has else ""
            for column, has in zip(columns, known, strict=True)
        ]
        cells.append([row, *shown])
    widths = [max(len(line[index]) for line in cells) for index in range(len(cells[0]))]
    cells.insert(1, ["-" * width for width in widths])
    return "".join(_line(line, widths) for line in cells)


def _line(cells: Iterable[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"| {' | '.join(padded)} |\n"
