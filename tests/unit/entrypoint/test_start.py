# SPDX-License-Identifier: Apache-2.0
"""How the runtime starts: both forms, its private name, what it imports, and what a task finds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from tests.unit.entrypoint.workdir import Workdir

ROOT = Path(__file__).parents[3]
MODULES = Path(__file__).parent / "modules.txt"

ADD = "def add(x: int) -> int:\n    return x + 1\n"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A venv's interpreter with the runtime in its site-packages, as in an image."""
    directory = tmp_path_factory.mktemp("venv")
    venv.create(directory, symlinks=True, with_pip=False)
    site = next((directory / "lib").iterdir()) / "site-packages"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "entrypoint", site / "entrypoint", ignore=ignore)
    (site / "imagekit" / "tasks").mkdir(parents=True)
    for name in ("__init__.py", "tasks/__init__.py", "tasks/task.py"):
        shutil.copy(ROOT / "imagekit" / name, site / "imagekit" / name)
    return directory / "bin" / "python"


def forms(installed: Path) -> dict[str, list[str]]:
    site = next((installed.parent.parent / "lib").iterdir()) / "site-packages"
    file = str(site / "entrypoint" / "__main__.py")
    return {
        "module": [str(installed), "-I", "-m", "entrypoint"],
        "file": [str(installed), "-I", file],
    }


def run(command: list[str], path: Path, **environ: str) -> Any:
    done = subprocess.run(
        command,
        cwd=path,
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("form", ["module", "file"])
@pytest.mark.parametrize("python_path", ["", "."])
def test_both_forms_start_and_leave_the_names_to_the_user(
    workdir: Workdir, installed: Path, form: str, python_path: str
) -> None:
    """The user's own `entrypoint.py`, `sidecars.py` and `types.py`-like names resolve to theirs."""
    workdir.module("entrypoint", "WHOSE = 'user'\n" + ADD)
    workdir.module("sidecars", "WHOSE = 'user too'\n")
    workdir.module(
        "task",
        "import entrypoint, sidecars\n"
        "from imagekit import File, task\n"
        "@task\n"
        "def whose(file: File) -> list[str]:\n"
        "    return [entrypoint.WHOSE, sidecars.WHOSE, type(file).__module__]\n",
    )
    command = [*forms(installed)[form], "call", "task:whose", "file=task.py"]
    stdout = run(command, workdir.path, PYTHONPATH=python_path)
    assert json.loads(stdout) == {"o0": ["user", "user too", "_imagekit_entrypoint.types.files"]}
    own = [*forms(installed)[form], "call", "entrypoint:add", "x=1"]
    assert json.loads(run(own, workdir.path, PYTHONPATH=python_path)) == {"o0": 2}


def test_outside_an_image_imagekit_finds_the_runtime_beside_itself(
    workdir: Workdir, installed: Path
) -> None:
    """A user's `entrypoint.py` does not get in the way of `from imagekit import File`."""
    workdir.module("entrypoint", "raise RuntimeError('never imported')\n")
    code = "from imagekit import File, Directory; print(File('x'), Directory('y').uri)"
    assert run([str(installed), "-c", code], workdir.path) == "File('x') y\n"


def loaded(installed: Path, workdir: Workdir, *words: str) -> Any:
    """Modules that are loaded when the task's process ends, beyond those of a bare interpreter."""
    (workdir.path / "watch.py").write_text(
        "import atexit, os, sys\n"
        "def add(x: int) -> int:\n"
        "    atexit.register(lambda: os.write(2, '\\n'.join(sys.modules).encode()))\n"
        "    return x + 1\n"
    )
    done = subprocess.run(
        [*forms(installed)["file"], *words],
        cwd=workdir.path,
        env={},
        capture_output=True,
        text=True,
        check=True,
    )
    bare = run([str(installed), "-I", "-c", "import sys; print(*sys.modules)"], workdir.path)
    return sorted(set(done.stderr.split()) - set(bare.split()) - {"atexit", "watch"})


def test_an_int_task_loads_the_listed_modules_and_no_others(
    workdir: Workdir, installed: Path
) -> None:
    """Each import is paid at every task start: modules.txt is what `int -> int` may load."""
    workdir.inputs({"x": 1})
    modules = loaded(installed, workdir, *workdir.execute_words("watch:add"))
    assert modules == MODULES.read_text().split()


def test_import_imagekit_loads_nothing_else(workdir: Workdir, installed: Path) -> None:
    """`import imagekit` costs itself alone; `task` adds its own two modules."""
    code = (
        "import sys; before = set(sys.modules); import imagekit\n"
        "print(sorted(set(sys.modules) - before)); from imagekit import task\n"
        "print(sorted(set(sys.modules) - before))"
    )
    first, second = run([str(installed), "-I", "-c", code], workdir.path).splitlines()
    allowed = {"__future__", "imagekit"}
    assert set(json.loads(first.replace("'", '"'))) == allowed
    more = {"imagekit.tasks", "imagekit.tasks.task"}
    assert set(json.loads(second.replace("'", '"'))) == allowed | more


def test_the_working_directory_comes_first_then_pythonpath(workdir: Workdir) -> None:
    """As a plain `python` would have it, under -I."""
    workdir.module("paths", "import sys\ndef show() -> list[str]:\n    return sys.path[:3]\n")
    result = workdir.run("call", "paths:show", environ={"PYTHONPATH": "/first:relative"})
    expected = [str(workdir.path), "/first", str(workdir.path / "relative")]
    assert json.loads(result.stdout) == {"o0": expected}


def test_multiprocessing_by_spawn_works(workdir: Workdir) -> None:
    """Its workers run `__main__` again, which is nothing of ours."""
    workdir.module("entrypoint", "raise RuntimeError('never imported')\n")
    workdir.module(
        "spawning",
        "import multiprocessing\n"
        "def double(x: int) -> int:\n"
        "    return 2 * x\n"
        "def task(n: int) -> list[int]:\n"
        "    with multiprocessing.get_context('spawn').Pool(2) as pool:\n"
        "        return pool.map(double, range(n))\n",
    )
    result = workdir.run("call", "spawning:task", "n=3")
    assert json.loads(result.stdout) == {"o0": [0, 2, 4]}, result.stderr


def test_a_task_prints_what_it_likes_and_the_outputs_come_last(workdir: Workdir) -> None:
    """Without a prefix, one line of JSON follows the task's own output."""
    workdir.module("loud", "def task(x: int) -> float:\n    print('é', end='')\n    return x / 2\n")
    result = workdir.run("call", "loud:task", "x=3", environ={"LC_ALL": "C.UTF-8"})
    assert result.stdout == 'é{"o0": 1.5}\n'
    quiet = workdir.run("call", "--output-prefix", "out", "loud:task", "x=3")
    assert quiet.stdout.encode("utf-8", "surrogateescape").decode() == "é"
    assert json.loads((workdir.prefix / "outputs.json").read_text()) == {"o0": 1.5}


def test_version_and_help_speak_on_stdout(workdir: Workdir) -> None:
    """They succeed, and name the interpreter and the commands."""
    assert f"Python {sys.version.split()[0]}" in workdir.run("version").stdout
    shown = workdir.run("--help")
    assert shown.code == 0
    assert "call [options] MODULE:FUNCTION" in shown.stdout
