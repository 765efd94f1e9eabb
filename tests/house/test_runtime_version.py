# SPDX-License-Identifier: Apache-2.0
"""The runtime wheel's version follows its own content: no other change moves an image."""

from __future__ import annotations

import shutil
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
