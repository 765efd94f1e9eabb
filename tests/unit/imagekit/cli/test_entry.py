# SPDX-License-Identifier: Apache-2.0
"""How the program ends as a process: at once, and having done all that it has to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import imagekit

ROOT = str(Path(imagekit.__file__).parents[1])
PROGRAM = """\
import atexit, os, sys, threading, time
sys.path.insert(0, {root!r})
from imagekit.cli.entry import main
def late(): print("at exit")
class Kept:
    def __del__(self): os.write(1, b"taken apart")
kept = Kept()
code = main()
atexit.register(late)
threading.Thread(target=lambda: (time.sleep(0.2), print("thread"))).start()
sys.exit(code)
"""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-c", PROGRAM.format(root=ROOT), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("words", "code"), [(["plan", "--help"], 0), (["plan", "no/file"], 2)])
def test_threads_and_what_is_to_be_done_at_the_end_are_waited_for(
    words: list[str], code: int
) -> None:
    """With the command's own code, and nothing taken apart after."""
    done = run(*words)
    assert done.returncode == code
    assert done.stdout.endswith("thread\nat exit\n")


def test_output_that_nobody_takes_is_told_by_the_interpreter() -> None:
    """As ever: a full disk is no success."""
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-I", "-c", PROGRAM.format(root=ROOT), "plan", "--help"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode != 0
    assert os.strerror(28).encode() in done.stderr
