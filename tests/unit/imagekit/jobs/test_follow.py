# SPDX-License-Identifier: Apache-2.0
"""What a program prints is shown while it runs, without the secrets that it was given."""

import io
import threading
from pathlib import Path

import pytest

from imagekit.jobs.follow import followed, hidden, secret_values
from imagekit.progress.board import Board
from imagekit.progress.plain import Plain


class _Heard(io.StringIO):
    """Tells when something was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def write(self, text: str, /) -> int:
        count = super().write(text)
        self.written.set()
        return count


def test_lines_are_shown_before_the_end(tmp_path: Path) -> None:
    """And the last one too, which has no newline."""
    path = tmp_path / "output"
    path.touch()
    shown = _Heard()
    task = Board([Plain(shown)], clock=lambda: 0.0).task("running")
    shown.written.clear()
    with path.open("ab", buffering=0) as stream, followed(path, task, ()):
        stream.write(b"first\nsec")
        assert shown.written.wait(30)
        assert shown.getvalue().splitlines() == ["#1 running", "#1 0.000 first"]
        stream.write(b"ond\nlast")
    task.done()
    assert shown.getvalue().splitlines()[2:] == ["#1 0.000 second", "#1 0.000 last", "#1 DONE 0.0s"]


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_secret_is_hidden_however_its_pieces_come(tmp_path: Path, cut: int) -> None:
    """As a whole, and each line of it."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"hunter2hunter2\nother-line\n")
    path = tmp_path / "output"
    path.touch()
    shown = io.StringIO()
    task = Board([Plain(shown)], clock=lambda: 0.0).task("running")
    printed = b"token=hunter2hunter2; other-line\n"
    with (
        path.open("ab", buffering=0) as stream,
        followed(path, task, secret_values([str(secret)])),
    ):
        stream.write(printed[:cut])
        stream.write(printed[cut:])
    assert shown.getvalue().splitlines()[1:] == ["#1 0.000 token=***; ***"]


def test_the_longest_secret_is_hidden_first(tmp_path: Path) -> None:
    """So that no rest of it stays; and what is too short to be one is left."""
    for name, value in (("a", "abcdef"), ("b", "abcdefgh"), ("c", "x")):
        (tmp_path / name).write_text(value)
    values = secret_values([str(tmp_path / name) for name in "abc"])
    assert hidden(b"abcdefgh abcdef x", values) == b"*** *** x"
