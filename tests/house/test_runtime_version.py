# SPDX-License-Identifier: Apache-2.0
"""The runtime wheel's version follows its own content: no other change moves an image."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from imagekit.builders import runtime
from tests.house.project import PACKAGES, ROOT


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the packages, to change."""
    for package in PACKAGES:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignore)
    return tmp_path


def version(root: Path) -> str:
    return runtime._version(dict(runtime.runtime_files(root)))


def change(path: Path) -> None:
    with path.open("a") as stream:
        stream.write("\n# changed\n")


@pytest.mark.parametrize(
    "path",
    [
        "imagekit/builders/native.py",
        "imagekit/cli/main.py",
        "imagekit/lock/model.py",
        "imagekit/spec/load.py",
        "imagekit/layers/writer.py",
    ],
)
def test_a_change_of_the_build_side_leaves_it(tree: Path, path: str) -> None:
    """A builder edited, and every image stays what it is."""
    change(tree / path)
    assert version(tree) == version(ROOT)


@pytest.mark.parametrize(
    "path",
    ["entrypoint/run.py", "entrypoint/wire/protobuf.py", "imagekit/tasks/task.py"],
)
def test_a_change_of_what_runs_in_images_moves_it(tree: Path, path: str) -> None:
    """A task would run other code."""
    change(tree / path)
    assert version(tree) != version(ROOT)


def test_it_holds_the_whole_entrypoint(tree: Path) -> None:
    """Each of its modules, however deep."""
    held = {name for name, _ in runtime.runtime_files(tree) if name.startswith("entrypoint/")}
    assert held == {
        path.relative_to(tree).as_posix() for path in (tree / "entrypoint").rglob("*.py")
    }


def test_its_pin_is_remembered_for_the_files_as_they_are(tree: Path) -> None:
    """A change of the same size is seen, whatever times it leaves; a new one is not trusted yet."""
    later_ns = time.time_ns() + 10**10
    path = tree / "entrypoint/run.py"
    before = path.stat()
    memo = runtime._memo(tree, later_ns)
    assert memo is not None
    assert memo == runtime._memo(tree, later_ns)
    assert runtime._memo(tree, before.st_ctime_ns) is None

    path.write_bytes(path.read_bytes().replace(b"import", b"impart", 1))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert path.stat().st_size == before.st_size
    assert memo != runtime._memo(tree, later_ns)
    (tree / "sidecars/new.py").touch()
    assert runtime._memo(tree, later_ns) not in (memo, None)


def test_the_remembered_pin_is_that_of_the_wheel() -> None:
    """Asked for again, without the wheel being made."""
    pin = runtime.runtime_wheel().pin
    assert [pin, pin] == [runtime.runtime_pin.__wrapped__() for _ in range(2)]
