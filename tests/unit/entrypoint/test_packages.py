# SPDX-License-Identifier: Apache-2.0
"""Packages that are installed when the task starts, by the real uv and the real pip."""

from __future__ import annotations

import subprocess
import venv
from pathlib import Path

import pytest

from entrypoint.contract import pinned
from entrypoint.errors import EXIT_CODES, RECOVERABLE, SYSTEM
from tests.fakes.wheels import make_wheel
from tests.unit.entrypoint.workdir import MAIN, Workdir

TASK = """
import subprocess, sys
import greeting

def greet(x: int) -> str:
    print("the task's own")
    child = [sys.executable, "-c", "import greeting; print(greeting.WORD)"]
    return greeting.WORD + subprocess.check_output(child, text=True).strip()
"""


@pytest.fixture
def index(workdir: Workdir) -> dict[str, str]:
    """A folder as the only index, and the variables of both installers that say so."""
    folder = workdir.path / "simple" / "greeting"
    folder.mkdir(parents=True)
    wheel = make_wheel(folder, {"greeting.py": b"WORD = 'hello'\n"}, name="greeting")
    (folder / "index.html").write_text(f'<a href="{wheel.filename}">{wheel.filename}</a>')
    workdir.module("good", TASK)
    workdir.inputs({"x": 1})
    return {
        "PIP_INDEX_URL": folder.parent.as_uri(),
        "UV_DEFAULT_INDEX": folder.parent.as_uri(),
        "IMAGEKIT_RUNTIME_PACKAGES": pinned("greeting", "1.0", [wheel.sha256]),
    }


@pytest.mark.parametrize("installer", ["uv", "pip", ""])
def test_they_are_there_for_the_task_and_its_programs(
    workdir: Workdir, index: dict[str, str], installer: str
) -> None:
    """Flyte's list of names is answered by ours; standard output stays the task's own."""
    environ = {**index, "IMAGEKIT_RUNTIME_INSTALLER": installer, "_F_RUNTIME_PACKAGES": "Greeting"}
    result = workdir.execute("good:greet", environ=environ)
    assert result.code == 0, result.stderr
    assert result.stdout == "the task's own\n"
    (value,) = workdir.outputs()["literals"].values()
    assert value["scalar"]["primitive"]["string_value"] == "hellohello"


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_another_hash_is_a_failure_that_says_what_the_installer_said(
    workdir: Workdir, index: dict[str, str], installer: str
) -> None:
    """The task does not run without its packages."""
    wrong = {"IMAGEKIT_RUNTIME_PACKAGES": pinned("greeting", "1.0", ["0" * 64])}
    environ = {**index, **wrong, "IMAGEKIT_RUNTIME_INSTALLER": installer}
    result = workdir.execute("good:greet", environ=environ)
    assert result.code == EXIT_CODES["packages"]
    error = workdir.error()
    assert (error["code"], error["origin"]) == ("SYSTEM:RuntimePackages", SYSTEM)
    assert error["kind"] == RECOVERABLE
    assert "0" * 64 in error["message"], error["message"]


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"_F_RUNTIME_PACKAGES": "greeting other>=1"}, "no version of it with hashes"),
        ({"IMAGEKIT_RUNTIME_PACKAGES": "greeting==1.0"}, "not greeting==1.0"),
        ({"IMAGEKIT_RUNTIME_PACKAGES": "--index-url=http://elsewhere"}, "not --index-url"),
        ({"IMAGEKIT_RUNTIME_INSTALLER": "conda"}, "uv or pip, not conda"),
    ],
)
def test_what_has_no_hash_is_not_installed(
    workdir: Workdir, index: dict[str, str], environ: dict[str, str], said: str
) -> None:
    """The document names the variable and what is wrong with it."""
    result = workdir.execute("good:greet", environ={**index, **environ})
    assert result.code == EXIT_CODES["unsupported"], result.stderr
    assert said in workdir.error()["message"]


def test_an_image_without_an_installer_says_what_to_add(
    workdir: Workdir, index: dict[str, str], tmp_path: Path
) -> None:
    """A bare venv has neither."""
    venv.create(tmp_path / "bare", symlinks=True, with_pip=False)
    words = workdir.execute_words("good:greet")
    done = subprocess.run(
        [tmp_path / "bare" / "bin" / "python", "-I", MAIN, *words],
        cwd=workdir.path,
        env={**index, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == EXIT_CODES["unsupported"], done.stderr
    assert "no uv nor pip" in workdir.error()["message"]
