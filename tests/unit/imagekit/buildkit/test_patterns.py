# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from imagekit.buildkit.patterns import selected
from imagekit.buildkit.tree import Entry, arranged

FILES = ("a.txt", "b.py", "src/a.txt", "src/deep/b.py", "src/deep/c.pyc", "docs/x[1].md", "z/.env")
TREE = arranged([*(Entry.made(path, b"") for path in FILES), Entry.link("now", "src/deep")])

EXCLUDED = {
    "nothing": ((), set(FILES)),
    "a name at the top only": (("a.txt",), set(FILES) - {"a.txt"}),
    "a name anywhere": (("**/a.txt",), set(FILES) - {"a.txt", "src/a.txt"}),
    "a star stays within a name": (("*.py",), set(FILES) - {"b.py"}),
    "two stars cross folders": (("**/*.py*",), {"a.txt", "src/a.txt", "docs/x[1].md", "z/.env"}),
    "a folder and all in it": (("src",), {"a.txt", "b.py", "docs/x[1].md", "z/.env"}),
    "taken back within a folder": (
        ("src", "!src/deep/b.py"),
        {"a.txt", "b.py", "src/deep/b.py", "docs/x[1].md", "z/.env"},
    ),
    "the last one decides": (("!a.txt", "a.txt"), set(FILES) - {"a.txt"}),
    "a question mark is one character": (("?.txt",), set(FILES) - {"a.txt"}),
    "a class": (("[ab].*",), set(FILES) - {"a.txt", "b.py"}),
    "an escaped bracket": ((r"docs/x\[1\].md",), set(FILES) - {"docs/x[1].md"}),
    "leading slashes and dots": (("/./a.txt",), set(FILES) - {"a.txt"}),
    "everything but one": (("*", "!b.py"), {"b.py"}),
}


def files(**options: tuple[str, ...]) -> set[str]:
    return {entry.path for entry in selected(TREE, **options) if entry.is_file}


@pytest.mark.parametrize("name", EXCLUDED)
def test_patterns_are_those_of_dockerignore(name: str) -> None:
    """The documented rules, one case each."""
    patterns, expected = EXCLUDED[name]
    assert files(excluded=patterns) == expected


def test_followed_paths_bring_what_links_lead_to() -> None:
    """The link, its target's folder, and nothing else."""
    found = {entry.path for entry in selected(TREE, followed=("now",))}
    assert found == {"now", "src", "src/deep", "src/deep/b.py", "src/deep/c.pyc"}


def test_a_followed_root_is_everything() -> None:
    """`COPY . /` asks so."""
    assert files(followed=("/",)) == set(FILES)
