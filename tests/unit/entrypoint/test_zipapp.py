# SPDX-License-Identifier: Apache-2.0
"""The runtime in one file, started by an interpreter that has nothing of it installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from imagekit.builders.zipapp import write_zipapp
from tests.unit.entrypoint.workdir import Workdir, literal

TASK = """
import entrypoint, imagekit

@imagekit.task
def add(x: int) -> int:
    assert imagekit.current_context().output_prefix
    return entrypoint.mine(x)
"""


@pytest.fixture(scope="module")
def zipapp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("zipapp") / "imagekit.pyz"
    write_zipapp(path)
    return path


def run(zipapp: Path, workdir: Workdir, *words: str) -> subprocess.CompletedProcess[str]:
    """No home, no environment, nothing but the standard library on the path."""
    base = os.path.realpath(sys.executable)
    return subprocess.run(
        [base, "-I", str(zipapp), *words],
        cwd=workdir.path,
        env={},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_it_runs_a_task_beside_the_users_own_entrypoint(zipapp: Path, workdir: Workdir) -> None:
    """`import entrypoint` is the user's module, `import imagekit` is in the file."""
    workdir.module("entrypoint", "def mine(x):\n    return x + 1\n")
    workdir.module("tasks", TASK)
    workdir.inputs({"x": 1})
    done = run(zipapp, workdir, *workdir.execute_words("tasks:add"))
    assert done.returncode == 0, done.stderr
    assert workdir.outputs() == {"literals": {"o0": literal(2)}}
    assert run(zipapp, workdir, "sh", "-c", "exit 3").returncode == 3


def test_a_failure_leaves_its_document(zipapp: Path, workdir: Workdir) -> None:
    """With the user's frame first, as the installed form has it."""
    workdir.module("tasks", "def add(x: int) -> int:\n    raise ValueError(x)\n")
    workdir.inputs({"x": 1})
    assert run(zipapp, workdir, *workdir.execute_words("tasks:add")).returncode == 10
    trace = workdir.error()["message"].splitlines()
    assert trace[3].strip().startswith(f'File "{workdir.path}/tasks.py"')


def test_it_is_always_the_same_file(zipapp: Path, tmp_path: Path) -> None:
    """So that a digest names it."""
    write_zipapp(tmp_path / "again.pyz")
    assert (tmp_path / "again.pyz").read_bytes() == zipapp.read_bytes()
