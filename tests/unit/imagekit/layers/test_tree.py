# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from imagekit.errors import BuildError
from imagekit.layers.tree import scan, write_tree
from imagekit.layers.writer import LayerWriter


def members(folder: Path) -> dict[str, tarfile.TarInfo]:
    sink = io.BytesIO()
    writer = LayerWriter(sink)
    write_tree(writer, scan(folder), "root")
    writer.finish()
    with tarfile.open(fileobj=io.BytesIO(sink.getvalue()), mode="r:gz") as archive:
        return {member.name: member for member in archive}


def test_files_links_and_modes_are_kept(tmp_path: Path) -> None:
    """Content, the executable bit and links reach the image; owner is 1000 and group 0."""
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "module.py").write_text("x = 1")
    (tmp_path / "run.sh").write_text("#!/bin/sh")
    (tmp_path / "run.sh").chmod(0o700)
    (tmp_path / "link").symlink_to("package/module.py")
    (tmp_path / "empty").mkdir()
    found = members(tmp_path)

    assert {"root", "root/package", "root/package/module.py", "root/run.sh"} <= found.keys()
    assert found["root/run.sh"].mode == 0o775
    assert found["root/package/module.py"].mode == 0o664
    assert found["root/link"].linkname == "package/module.py"
    assert found["root/empty"].isdir()
    assert {(member.uid, member.gid) for member in found.values()} == {(1000, 0)}


def test_version_control_and_caches_are_left_out(tmp_path: Path) -> None:
    """What no task needs, and what would change the image's digest without a reason."""
    for name in (".git/config", "__pycache__/a.pyc", ".venv/x", "b.pyc", ".cache/c", "kept.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")

    assert ["kept.py"] == [node.path for node in scan(tmp_path)]


def test_a_pipe_is_refused_by_name(tmp_path: Path) -> None:
    """What can't be copied is an error, not skipped."""
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(BuildError, match="pipe"):
        scan(tmp_path)


def test_a_file_that_changes_during_the_build_is_noticed(tmp_path: Path) -> None:
    """An image never holds a file that is half old and half new."""
    (tmp_path / "a.py").write_text("x = 1")
    nodes = scan(tmp_path)
    (tmp_path / "a.py").write_text("x = 2")

    with pytest.raises(BuildError, match="changed during the build"):
        write_tree(LayerWriter(io.BytesIO()), nodes, "root")


def test_names_are_the_same_under_every_locale(tmp_path: Path) -> None:
    """A name is UTF-8 in the image, also where the locale makes Python read it as ASCII."""
    (tmp_path / "größe.txt").write_text("x")
    program = (
        "import pathlib, sys; from imagekit.layers.tree import scan\n"
        "print(ascii([node.identity for node in scan(pathlib.Path(sys.argv[1]))]))\n"
    )
    printed = set()
    for environ in ({"PYTHONUTF8": "1"}, {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0"}):
        done = subprocess.run(
            [
                sys.executable,
                "-X",
                f"utf8={environ.get('PYTHONUTF8', '0')}",
                "-c",
                program,
                tmp_path,
            ],
            env={**environ, "PYTHONPATH": os.getcwd()},
            capture_output=True,
            check=True,
        )
        printed.add(done.stdout)

    assert len(printed) == 1
    assert b"gr\\xf6\\xdfe.txt" in printed.pop()
