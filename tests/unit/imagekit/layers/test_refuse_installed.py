# SPDX-License-Identifier: Apache-2.0
"""The script that looks, inside a build, at wheels which another installer took apart."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.fakes.wheels import make_wheel

REPOSITORY = Path(__file__).parents[4]
SCRIPT = REPOSITORY / "imagekit/layers/refuse_installed.py"
SITE = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"


def installed(root: Path, prefix: str, **wheels: Mapping[str, bytes]) -> Path:
    """A prefix in which uv put the wheels, one after the other."""
    (root / "index").mkdir(exist_ok=True)
    for name, files in wheels.items():
        wheel = make_wheel(root / "index", files, name=name)
        options = ["--quiet", "--offline", "--no-deps", f"--prefix={root / prefix}"]
        command = ["uv", "pip", "install", *options, str(wheel.path)]
        subprocess.run([sys.executable, "-m", *command], check=True)
    return root / prefix


def told(*prefixes: Path) -> tuple[int, str]:
    command = [sys.executable, "-s", "-S", "-B", str(SCRIPT), "opt/venv", SITE]
    environ = {"PYTHONPATH": str(REPOSITORY)}
    command += map(str, prefixes)
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("shared/x.py", "shared/x.py", f"{SITE}/shared/x.py, with different content"),
        ("shared", "shared/x.py", f"{SITE}/shared, a file in one, a folder in another"),
        ("a-1.0.data/scripts/run", "b-1.0.data/scripts/run", "bin/run, with different content"),
    ],
)
def test_two_prefixes_that_disagree_are_refused(
    tmp_path: Path, first: str, second: str, message: str
) -> None:
    """In the native builder's words, with both names and the path."""
    one = installed(tmp_path, "one", a={first: b"1"})
    other = installed(tmp_path, "other", b={second: b"2"})
    status, text = told(one, other)
    assert status == 1
    assert (
        text
        == f"a-1.0 and b-1.0 both write /opt/venv/{message}\nleave one of the two out of the spec\n"
    )


def test_two_wheels_of_one_prefix_that_disagree_are_refused(tmp_path: Path) -> None:
    """Though the file of only one is left, and nobody chose which."""
    status, text = told(installed(tmp_path, "one", a={"x.py": b"1"}, b={"x.py": b"2"}))
    assert (status, text.partition(",")[0]) == (
        1,
        f"a-1.0 and b-1.0 both write /opt/venv/{SITE}/x.py",
    )


def test_wheels_that_agree_pass(tmp_path: Path) -> None:
    """Also where they share a file."""
    shared = {"shared/__init__.py": b"", "shared/more.py": b"1"}
    one = installed(tmp_path, "one", a=shared, b=shared)
    assert told(one, installed(tmp_path, "other", c=shared)) == (0, "")
