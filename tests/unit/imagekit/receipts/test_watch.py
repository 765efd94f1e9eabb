# SPDX-License-Identifier: Apache-2.0
"""What a process reads is noted as it was before; what may hide a later change is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import imagekit
from imagekit.receipts.reading import file_state, folder_state, unchanged
from imagekit.receipts.watch import Watch, _settled

NOTED = """\
import sys
from imagekit.receipts import watch
watch.begin([])
{code}
found = watch.current()
print(*sorted(found.files), *(f"{{path}}/" for path in sorted(found.folders)), sep="\\n")
"""


def noted(code: str, cwd: Path) -> list[str]:
    """What the watch saw of `cwd`, relative to it; folders end with a slash."""
    command = [sys.executable, "-c", NOTED.format(code=code)]
    root = str(Path(imagekit.__file__).parents[1])
    environ = {**os.environ, "XDG_CACHE_HOME": str(cwd / "cache"), "PYTHONPATH": root}
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=True)
    prefix = f"{cwd}/"
    return [x.removeprefix(prefix) for x in done.stdout.splitlines() if x.startswith(prefix)]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("open('a').close()", ["a"]),
        ("import pathlib; pathlib.Path('sub/b').read_bytes()", ["sub/b"]),
        ("import os; os.close(os.open(b'a', os.O_RDONLY))", ["a"]),
        ("import threading as t; x = t.Timer(0, open, 'a'); x.start(); x.join()", ["a"]),
        ("import os; os.listdir(os.open('sub', os.O_RDONLY))", ["sub/"]),
        ("import os; os.listdir('sub')", ["sub/"]),
        ("import os; list(os.walk('sub'))", ["sub/"]),
        ("import pathlib; list(pathlib.Path('sub').glob('*'))", ["sub/"]),
        ("import os; os.path.exists('no')\ntry: open('no')\nexcept OSError: pass", ["no"]),
        ("open('new', 'w').close()", []),
        ("import os; os.makedirs(x := 'cache/imagekit'); open(x + '/y', 'w'); open(x + '/y')", []),
        ("open('/dev/null'); open('/proc/self/maps')", []),
    ],
)  # fmt: skip
def test_all_that_is_read_is_noted(tmp_path: Path, code: str, expected: list[str]) -> None:
    """By whatever means and thread; caches and what is written are not."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "a").touch()
    (tmp_path / "sub" / "b").touch()
    assert expected == [each for each in noted(code, tmp_path) if each != "/"]


@pytest.mark.parametrize(
    ("changed_ns", "later_ns", "settled"),
    [
        (1_500_000_001, 0, False),
        (1_500_000_001, 19_000_000, False),
        (1_500_000_001, 21_000_000, True),
        (1_000_000_000, 1_900_000_000, False),  # a file system that counts in seconds
        (1_000_000_000, 2_100_000_000, True),
    ],
)
def test_a_file_that_is_too_new_is_unsettled(changed_ns: int, later_ns: int, settled: bool) -> None:
    """Another change might bear the same time; once the clock has gone on, none can."""
    assert settled == _settled(f"33188 1 0 {changed_ns} 1", changed_ns + later_ns)
    assert _settled("absent", 0)


def test_a_file_of_known_content_may_be_new(tmp_path: Path) -> None:
    """What was written by this very process is taken by its content."""
    path = tmp_path / "file"
    path.write_bytes(b"one")
    watch = Watch([], [])
    watch.opened(str(path))
    watch.took(str(path), b"one")
    assert [] == watch.unsettled
    assert unchanged(str(path), watch.files[str(path)])
    path.write_bytes(b"two")
    assert not unchanged(str(path), watch.files[str(path)])


def test_the_program_itself_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that changes is another program; one that changed after the start is unsettled."""
    module = tmp_path / "watched_module.py"
    module.write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    __import__("watched_module")
    watch = Watch([], [])
    state = watch.loaded()[str(module)]
    assert str(module) in watch.unsettled
    assert unchanged(str(module), state)
    module.write_text("x = 2\n")
    assert not unchanged(str(module), state)
    assert os.__file__ not in watch.loaded()


def test_states_tell_what_an_image_would_hold(tmp_path: Path) -> None:
    """Names and kinds of a folder, and where its links lead; a file's mode."""
    states = [folder_state(str(tmp_path))]
    (tmp_path / "link").symlink_to("a")
    states.append(folder_state(str(tmp_path)))
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("b")
    states.append(folder_state(str(tmp_path)))
    (tmp_path / "link").unlink()
    (tmp_path / "link").mkdir()
    states.append(folder_state(str(tmp_path)))
    assert 4 == len(set(states))
    assert "absent" == folder_state(str(tmp_path / "nothing")) == file_state(str(tmp_path / "no"))
