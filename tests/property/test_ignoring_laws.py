# SPDX-License-Identifier: Apache-2.0
"""What .gitignore files leave out is what git itself leaves out."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from imagekit.layers.tree import scan

NAMES = ["a", "b", "ab", "c", "aa", "a b", "#a", "!a", "]", "[a", "\\a", "-", "x1", "é", ".a", "*"]
ATOMS = [
    "a", "b", "ab", "*", "**", "***", "?", "[ab]", "[!a]", "[^b]", "[a-c]", "[c-a]", "[]a]",
    "[]-a]", "[", "[a", "\\a", "\\*", "\\", "/", "/**", "**/", "/**/", " ", "\\ ", "#", "!",
    "[[:alpha:]]", "[[:digit:]x]", "[[:bogus:]]", "[a-]", "[-a]", "[\\]]", "[!]a]", ".", "-", "é",
    "[a/b]", "[[:alpha:]-z]", "\\/", "[a-\\c]", "[+--]", "[a-c-e]", "[[:space:]]", "\t",
]  # fmt: skip
ENDS = ["", "", "/", " ", "\r"]

lines = st.builds(
    lambda back, atoms, end: back + "".join(atoms) + end,
    st.sampled_from(["", "", "!"]),
    st.lists(st.sampled_from(ATOMS), min_size=1, max_size=5),
    st.sampled_from(ENDS),
)
files = st.lists(lines, min_size=1, max_size=4).map("\n".join)
paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)


@pytest.fixture(scope="module")
def repository() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="ignoring-"))
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    yield folder
    shutil.rmtree(folder)


def emptied(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.name != ".git":
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def place(folder: Path, path: str, text: str) -> None:
    """A file, unless something of the path is there already as another kind."""
    target = folder / path
    if target.is_dir() or any(each.is_file() for each in target.parents if each != folder):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(text.encode())


def by_git(folder: Path) -> set[str]:
    command = ["git", "-C", str(folder), "ls-files", "--others", "--exclude-standard", "-z"]
    environ = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    found = subprocess.run(command, capture_output=True, check=True, env=environ).stdout
    return {os.fsdecode(each) for each in found.split(b"\0") if each}


@settings(max_examples=60, deadline=None)
@given(
    top=files,
    nested=st.dictionaries(paths, files, max_size=2),
    content=st.sets(paths, min_size=5, max_size=25),
)
@example(top="-**/a", nested={}, content={"b", "-/b/a"})
def test_a_tree_is_read_as_git_reads_it(
    repository: Path, top: str, nested: dict[str, str], content: set[str]
) -> None:
    """Any patterns, in any of its folders: the files that are kept are git's."""
    emptied(repository)
    place(repository, ".gitignore", top)
    for path in sorted(content, key=lambda each: -each.count("/")):
        place(repository, path, "x")
    for folder, text in nested.items():
        if (repository / folder).is_dir():
            place(repository, f"{folder}/.gitignore", text)
    kept = {node.path for node in scan(repository) if node.kind != "directory"}
    assert kept == by_git(repository)
