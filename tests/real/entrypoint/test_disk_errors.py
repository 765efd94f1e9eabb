# SPDX-License-Identifier: Apache-2.0
"""A disk that fails: the kernel's answers are made errors, one by one, by strace."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from entrypoint.errors import EXIT_CODES
from tests.unit.entrypoint.workdir import Result, Workdir

pytestmark = pytest.mark.strace
_RECOVERABLE = 1  # flyteidl.core.ContainerError.Kind


@pytest.fixture
def workdir(tmp_path: Path) -> Workdir:
    made = Workdir(tmp_path)
    made.module("good", "def task(x: int) -> int:\n    return 2 * x\n")
    made.inputs({"x": 1})
    return made


def failing(workdir: Workdir, calls: str, error: str, when: str) -> Result:
    """The task, with the calls numbered `when` in each process failing."""
    fault = ["-e", f"trace={calls}", "-e", f"inject={calls}:error={error}:when={when}"]
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", *fault]
    done = subprocess.run(
        [*strace, *workdir.command(*workdir.execute_words("good:task"))],
        cwd=workdir.path,
        env=workdir.environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def left(workdir: Workdir) -> list[str]:
    return sorted(path.name for path in workdir.prefix.glob("*"))


def test_without_a_fault_the_task_leaves_its_outputs(workdir: Workdir) -> None:
    """So it is the faults that the other tests see."""
    result = failing(workdir, "fsync", "EIO", "1000")
    assert (result.code, left(workdir)) == (0, ["outputs.pb"])


@pytest.mark.parametrize("error", ["EIO", "ENOSPC", "EDQUOT", "EROFS"])
@pytest.mark.parametrize("calls", ["fsync", "rename,renameat,renameat2"])
def test_outputs_that_the_disk_refuses_leave_a_document(
    workdir: Workdir, calls: str, error: str
) -> None:
    """Outputs that can't be flushed or renamed: none of them is left, and a recoverable error."""
    assert workdir.execute("good:task").code == 0  # so that no module's bytecode is written
    result = failing(workdir, calls, error, "1")
    assert result.code == EXIT_CODES["outputs-failed"]
    assert left(workdir) == ["error.pb"]
    assert workdir.error()["kind"] == _RECOVERABLE
    assert "writing outputs to" in result.stderr


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_a_disk_that_takes_nothing_leaves_nothing(workdir: Workdir, error: str) -> None:
    """No half of a file, no temporary one; the exit code and stderr still tell."""
    result = failing(workdir, "fsync", error, "1+")
    assert result.code == EXIT_CODES["outputs-failed"]
    assert left(workdir) == []
    assert "writing outputs to" in result.stderr
    assert "error document to" in result.stderr


def test_what_an_earlier_attempt_left_never_stands_beside_a_failure(workdir: Workdir) -> None:
    """Its outputs are gone before the new ones are tried."""
    assert workdir.execute("good:task").code == 0
    failing(workdir, "fsync", "EIO", "1")
    assert left(workdir) == ["error.pb"]
    assert workdir.execute("good:task").code == 0
    assert left(workdir) == ["outputs.pb"]
