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


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def kept(root: Path, prefix: str = "", *contexts: Path) -> list[str]:
    return [node.path for node in scan(root, prefix, contexts=contexts)]


def test_gitignore_files_of_the_whole_checkout_count(tmp_path: Path) -> None:
    """From its top, wherever the tree begins in it; the deeper file decides."""
    written(tmp_path, {".gitignore": "*.log\n/src/local.py\n", "src/.gitignore": "!keep.log\n"})
    written(tmp_path / "src", {"a.log": "", "keep.log": "", "local.py": "", "deep/local.py": ""})
    everything = [".gitignore", "a.log", "deep", "deep/local.py", "keep.log", "local.py"]
    assert kept(tmp_path / "src") == everything  # no checkout: nothing above counts
    (tmp_path / ".git").mkdir()
    assert kept(tmp_path / "src") == [".gitignore", "deep", "deep/local.py", "keep.log"]


def test_the_users_own_git_configuration_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image is the same for everybody: no global excludes, none of the clone's own."""
    written(tmp_path, {".git/info/exclude": "a\n", "home/.config/git/ignore": "a\n", "tree/a": ""})
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert kept(tmp_path / "tree") == ["a"]


def test_what_the_spec_names_is_taken_all_the_same(tmp_path: Path) -> None:
    """And patterns hold for what is in it."""
    written(tmp_path, {".git/x": "", ".gitignore": "data/\n*.bin\n", ".dockerignore": "data\n*.md"})
    written(tmp_path / "data", {"one.csv": "", "two.bin": ""})
    assert kept(tmp_path / "data", "data", tmp_path) == ["data", "data/one.csv"]
    assert kept(tmp_path / "data/two.bin", "data/two.bin", tmp_path) == ["data/two.bin"]


def test_a_dockerignore_takes_back_below_a_folder(tmp_path: Path) -> None:
    """The folder itself is left to what is kept in it; either file leaves out."""
    written(tmp_path, {".dockerignore": "*\n!deep/er/a\n!src\n", ".gitignore": "src/no\n"})
    written(tmp_path, {"deep/er/a": "", "deep/b": "", "src/a": "", "src/no": "", "c": ""})
    assert kept(tmp_path, "", tmp_path) == ["deep/er/a", "src", "src/a"]
    assert "c" in kept(tmp_path)  # of no context nothing is read


def test_a_linked_gitignore_is_none(tmp_path: Path) -> None:
    """As for git; and a folder's pattern does not mean a link of that name."""
    written(tmp_path, {"patterns": "a\n", "a": "", "real/.gitignore": "b/\n", "real/x": ""})
    (tmp_path / ".gitignore").symlink_to("patterns")
    (tmp_path / "real" / "b").symlink_to("x")
    assert {"a", "real/b"} <= set(kept(tmp_path))
