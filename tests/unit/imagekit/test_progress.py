# SPDX-License-Identifier: Apache-2.0
"""Progress fits where it goes, and what it shows is what was told."""

import contextlib
import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagekit.errors import BuildError
from imagekit.progress import Progress, watched
from imagekit.progress.board import Board
from imagekit.progress.log import LogFile
from imagekit.progress.named import named
from imagekit.progress.open import Style, open_progress
from imagekit.progress.plain import Plain

_TIMES = re.compile(r"\b\d+\.\d+(s?)\b")


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _use(stream: io.StringIO, environ: dict[str, str], style: Style = "auto") -> str:
    with open_progress(stream, environ, style) as progress:
        _work(progress)
    return stream.getvalue()


def _work(progress: Progress) -> None:
    task = progress.task("downloading [x]", 2000)
    task.advance(1500)
    task.advance(-1500)
    task.advance(2000)
    task.done()
    running = progress.task("RUN make\nmore of it")
    running.output(b"one\ntw")
    running.output(b"o\r\x1b[31mthree\x1b[0m")
    running.done()
    progress.task("40 layers").done(cached=True)


def _break(progress: Progress) -> None:
    with watched(progress.task("making it")) as task:
        task.output(b"half a line")
        progress.task("beside it")
        raise BuildError("it broke")


def _timeless(text: str) -> list[str]:
    return _TIMES.sub(r"T\1", text).splitlines()


def test_plain_lines_where_there_is_no_terminal() -> None:
    """A number for each step, its output as lines, its time, and whether it was cached."""
    assert _timeless(_use(io.StringIO(), {})) == [
        "#1 downloading [x]",
        "#1 DONE Ts (T kB)",
        "#2 RUN make ...",
        "#2 T one",
        "#2 T two",
        "#2 T three",
        "#2 DONE Ts",
        "#3 40 layers",
        "#3 CACHED",
    ]


def test_plain_lines_on_a_terminal_that_asks_for_them() -> None:
    """By the option, or because it can't move its cursor."""
    wanted = _timeless(_use(io.StringIO(), {}))
    assert _timeless(_use(_Terminal(), {}, "plain")) == wanted
    assert _timeless(_use(_Terminal(), {"TERM": "dumb"})) == wanted


def test_long_work_says_how_far_it_is_now_and_then() -> None:
    """Not on every chunk: once per interval."""
    now = [0.0]
    stream = io.StringIO()
    task = Board([Plain(stream)], clock=lambda: now[0]).task("pulling", 4_000_000_000)
    for second in range(12):
        now[0] = float(second)
        task.advance(100_000_000)
    assert stream.getvalue().splitlines() == [
        "#1 pulling",
        "#1 5.0 600.0 MB of 4.0 GB",
        "#1 10.0 1.1 GB of 4.0 GB",
    ]


def test_json_is_one_object_per_line() -> None:
    """What began, what it printed, how it ended; and the end of all."""
    events = [json.loads(line) for line in _use(_Terminal(), {}, "json").splitlines()]
    assert [event["event"] for event in events] == [
        *("began", "ended"),
        *("began", "printed", "printed", "printed", "ended"),
        *("began", "ended"),
        "closed",
    ]
    assert events[0] == {
        "event": "began",
        "step": 1,
        "label": "downloading [x]",
        "total_bytes": 2000,
    }
    assert [event["line"] for event in events if event["event"] == "printed"] == [
        "one",
        "two",
        "three",
    ]
    assert [event["state"] for event in events if event["event"] == "ended"] == [
        "done",
        "done",
        "cached",
    ]


@given(pieces=st.lists(st.binary(max_size=20)))
def test_no_line_of_output_is_lost_or_broken(pieces: list[bytes]) -> None:
    """However the pieces are cut; only blank lines and control characters go."""
    stream = io.StringIO()
    task = Board([Plain(stream)], clock=lambda: 0.0).task("x")
    for piece in pieces:
        task.output(piece)
    task.done()
    whole = b"".join(pieces).replace(b"\r", b"\n").split(b"\n")
    alone = io.StringIO()
    other = Board([Plain(alone)], clock=lambda: 0.0).task("x")
    for line in whole:
        other.output(line + b"\n")
    other.done()
    assert stream.getvalue() == alone.getvalue()
    assert len(stream.getvalue().split("\n")) == 3 + sum(1 for line in whole if line.strip())


def test_a_terminal_shows_each_step_with_its_time() -> None:
    """And NO_COLOR takes the colours away."""
    coloured = _use(_Terminal(), {"TERM": "xterm"})
    plain = _use(_Terminal(), {"TERM": "xterm", "NO_COLOR": "1"})
    assert "=> downloading [x]" in plain
    assert "=> CACHED 40 layers" in plain
    assert re.search(r"RUN make .*\d\.\ds", plain)
    assert "\x1b[34m=> CACHED" in coloured
    assert "\x1b[34m" not in plain


def read_to_the_end(terminal: int) -> bytes:
    """All that was written; a terminal that nobody has open any more gives an error."""
    drawn = b""
    with contextlib.suppress(OSError):
        while True:
            drawn += os.read(terminal, 65536)
    return drawn


def test_data_goes_to_its_pipe_while_a_terminal_is_drawn_on() -> None:
    """What stdout gets is not caught by the display, nor drawn over it."""
    code = (
        "import os, sys\n"
        "from imagekit.progress.open import open_progress\n"
        "with open_progress(sys.stderr, os.environ) as progress:\n"
        "    task = progress.task('working')\n"
        "    task.output(b'the tail\\n')\n"
        "    print('DATA')\n"
        "    task.done()\n"
    )
    reading, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    ran = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=terminal,
        env={**os.environ, "TERM": "xterm"},
        check=True,
    )
    os.close(terminal)
    drawn = read_to_the_end(reading)
    os.close(reading)
    assert ran.stdout == b"DATA\n"
    assert b"=> working" in drawn
    assert b"DATA" not in drawn


def test_a_small_terminal_shows_what_runs() -> None:
    """Ended steps give way; at the end all are shown."""
    code = (
        "import os, sys, time\n"
        "from imagekit.progress.open import open_progress\n"
        "with open_progress(sys.stderr, os.environ) as progress:\n"
        "    running = progress.task('running on')\n"
        "    for number in range(30): progress.task(f'ended {number}.').done()\n"
        "    sys.stdin.read()\n"
    )
    reading, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 80, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stderr=terminal,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(terminal)
    drawn = b""
    while b"more steps ended" not in drawn or b"ended 29." not in drawn:
        drawn += os.read(reading, 65536)
    live = drawn.split(b"more steps ended")[-1]
    assert b"ended 3." not in live
    process.communicate(b"")
    drawn = b""
    while b"ended 29." not in drawn:
        drawn += os.read(reading, 65536)
    os.close(reading)
    assert all(f"ended {number}.".encode() in drawn for number in range(30))


@pytest.mark.parametrize("style", ["plain", "json"])
def test_the_whole_log_is_kept_and_named_at_the_end(tmp_path: Path, style: Style) -> None:
    """As lines, whatever is shown; for its owner alone, with the error that ended the run."""
    stream = io.StringIO()
    log = LogFile(tmp_path / "logs", "build")
    with pytest.raises(BuildError), open_progress(stream, {}, style, log) as progress:
        _break(progress)
    (path,) = (tmp_path / "logs").iterdir()
    assert str(path) in stream.getvalue().splitlines()[-1]
    assert path.stat().st_mode & 0o777 == 0o600
    assert _timeless(path.read_text()) == [
        "#1 making it",
        "#2 beside it",
        "#1 T half a line",
        "#1 ERROR it broke",
        "#2 CANCELED",
        "error: it broke",
    ]


def test_nothing_to_tell_leaves_no_log(tmp_path: Path) -> None:
    """Nor a line about one."""
    stream = io.StringIO()
    with open_progress(stream, {}, log=LogFile(tmp_path / "logs", "build")):
        pass
    assert stream.getvalue() == ""
    assert not (tmp_path / "logs").exists()


def test_logs_do_not_pile_up(tmp_path: Path) -> None:
    """The oldest make room."""
    for number in range(60):
        (tmp_path / f"20200101T0000{number:02}Z-1-build.log").touch()
    log = LogFile(tmp_path, "build")
    log.write("x\n")
    log.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 50
    assert names[0].startswith("20200101T000011Z")


def test_a_log_that_cannot_be_written_costs_no_build(tmp_path: Path) -> None:
    """The user is told, and the work goes on."""
    (tmp_path / "logs").write_text("a file stands there")
    stream = io.StringIO()
    with open_progress(stream, {}, log=LogFile(tmp_path / "logs", "build")) as progress:
        _work(progress)
    assert stream.getvalue().splitlines()[-1] == "no log was kept: File exists"


def test_steps_of_one_among_many_carry_its_name_and_fail_with_it() -> None:
    """Others go on."""
    stream = io.StringIO()
    board = Board([Plain(stream)], clock=lambda: 0.0)
    with pytest.raises(BuildError), named(board, "a.yaml") as shown:
        _break(shown)
    board.task("other").done()
    assert stream.getvalue().splitlines() == [
        "#1 a.yaml: making it",
        "#2 a.yaml: beside it",
        "#1 0.000 half a line",
        "#1 ERROR it broke",
        "#2 ERROR",
        "#3 other",
        "#3 DONE 0.0s",
    ]


def test_lines_of_many_threads_do_not_mix() -> None:
    """Each line is whole, and each step has its own number."""
    stream = io.StringIO()
    progress = Board([Plain(stream)])

    def work(number: Any) -> None:
        for _ in range(50):
            task = progress.task(f"thread {number}")
            task.output(b"said\n")
            task.done()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    progress.close()
    for thread in threads:
        thread.join()
    lines = _timeless(stream.getvalue())
    begun = [line for line in lines if "thread" in line]
    assert len({line.split()[0] for line in begun}) == len(begun)
    assert all(re.fullmatch(r"#\d+ (thread \d|T said|DONE Ts|CANCELED)", line) for line in lines)


def test_rich_is_not_imported_without_a_terminal() -> None:
    """It is slow to import, and most builds run in CI."""
    code = (
        "import io, sys; from imagekit.progress.open import open_progress\n"
        "with open_progress(io.StringIO(), {}) as p: p.task('x').done()\n"
        "print('rich' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
