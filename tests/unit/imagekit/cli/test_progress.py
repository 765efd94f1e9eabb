# SPDX-License-Identifier: Apache-2.0
"""Progress fits where it goes."""

import io
import subprocess
import sys
import threading
from typing import Any

from imagekit.progress import Lines, open_progress


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _use(stream: io.StringIO, environ: dict[str, str], *, quiet: bool = False) -> str:
    with open_progress(stream, environ, quiet=quiet) as progress:
        task = progress.task("downloading [x]", 2000)
        task.advance(1500)
        task.advance(-1500)
        task.advance(2000)
        task.done()
        progress.task("resolving").done()
    return stream.getvalue()


def test_plain_lines_where_there_is_no_terminal() -> None:
    """One line when work starts, one when it ends."""
    assert _use(io.StringIO(), {}).splitlines() == [
        "downloading [x]",
        "downloading [x]: done (2.0 kB)",
        "resolving",
        "resolving: done",
    ]


def test_long_work_says_how_far_it_is_now_and_then() -> None:
    """Not on every chunk: once per interval."""
    now = [0.0]
    stream = io.StringIO()
    task = Lines(stream, clock=lambda: now[0]).task("pulling", 4_000_000_000)
    for second in range(12):
        now[0] = float(second)
        task.advance(100_000_000)
    assert stream.getvalue().splitlines() == [
        "pulling",
        "pulling: 600.0 MB of 4.0 GB",
        "pulling: 1.1 GB of 4.0 GB",
    ]


def test_bars_on_a_terminal_and_none_of_their_colour_under_no_color() -> None:
    """NO_COLOR takes the colours, not the bars."""
    coloured = _use(_Terminal(), {"TERM": "xterm"})
    plain = _use(_Terminal(), {"TERM": "xterm", "NO_COLOR": "1"})
    assert "downloading [x]" in plain
    assert "\x1b[3" in coloured
    assert "\x1b[3" not in plain


def test_a_dumb_terminal_gets_lines() -> None:
    """It can't move its cursor."""
    assert "\x1b" not in _use(_Terminal(), {"TERM": "dumb"})


def test_quiet_shows_nothing() -> None:
    """Also not on a terminal."""
    assert _use(_Terminal(), {}, quiet=True) == ""


def test_lines_of_many_threads_do_not_mix() -> None:
    """Each line is whole."""
    stream = io.StringIO()
    progress = Lines(stream)

    def work(number: Any) -> None:
        for _ in range(50):
            progress.task(f"thread {number}").done()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 400
    assert {line.removesuffix(": done") for line in lines} == {f"thread {n}" for n in range(4)}


def test_rich_is_not_imported_without_a_terminal() -> None:
    """It is slow to import, and most builds run in CI."""
    code = (
        "import io, sys; from imagekit.progress import open_progress\n"
        "with open_progress(io.StringIO(), {}) as p: p.task('x').done()\n"
        "print('rich' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
