# SPDX-License-Identifier: Apache-2.0
"""Which files of a folder make the project in it, and their digest."""

from __future__ import annotations

import errno
import fnmatch
import hashlib
import json
import os
import posixpath
import stat
from collections.abc import Iterator
from pathlib import Path

from imagekit.errors import Problem, SpecError
from imagekit.files import sha256_of
from imagekit.values import frozen

_IGNORED = (
    *(".git", ".hg", ".svn", ".venv", ".tox", ".nox", "__pycache__", "*.pyc", "*.egg-info"),
    *(".cache", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".eggs"),
)
_MADE = ("build", "dist")
"""What backends leave in the project's own folder; a package of that name is none of it."""


@frozen
class Member:
    """A file, or a link with its `target`; `path` is relative, with `/`.

    A link to a file elsewhere counts as that file.
    """

    path: str
    place: Path
    executable: bool
    target: str = ""


def members(root: Path) -> Iterator[Member]:
    """The project's files, by path; what tools leave beside them is left out.

    Raises:
        OSError: something can't be read.
    """
    yield from _walk(root, "")


def tree_digest(root: Path) -> str:
    """`sha256:` of the project in `root`, or of the file there; the same on every machine.

    Raises:
        SpecError: it can't be read.
    """
    try:
        if root.is_file():
            return f"sha256:{sha256_of(root)}"
        listed = [
            [each.path, each.executable, each.target or sha256_of(each.place)]
            for each in members(root)
        ]
    except OSError as error:
        raise SpecError(str(root), [Problem(f"can't be read: {error.strerror}")]) from error
    return "sha256:" + hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def _walk(folder: Path, prefix: str) -> Iterator[Member]:
    for name in sorted(os.listdir(folder)):
        place = folder / name
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in _IGNORED):
            continue
        if not prefix and name in _MADE and not (place / "__init__.py").exists():
            continue
        mode = place.lstat().st_mode
        if stat.S_ISLNK(mode) and not _leaves(place, prefix):
            yield Member(prefix + name, place, executable=False, target=os.readlink(place))
        elif stat.S_ISLNK(mode) and not place.is_file():
            raise OSError(errno.ELOOP, "a link that leads out of the project", str(place))
        elif stat.S_ISDIR(mode):
            yield from _walk(place, f"{prefix}{name}/")
        elif stat.S_ISREG(mode) or stat.S_ISLNK(mode):
            yield Member(prefix + name, place, executable=bool(place.stat().st_mode & 0o111))


def _leaves(link: Path, prefix: str) -> bool:
    """Whether a link in the folder `prefix` of the project leads out of the project."""
    target = os.readlink(link)
    inside = posixpath.normpath(posixpath.join(prefix, target))
    return target.startswith("/") or inside == ".." or inside.startswith("../")
