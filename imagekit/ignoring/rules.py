# SPDX-License-Identifier: Apache-2.0
"""What the ignore files in and above a tree say of its entries.

Of .gitignore files those from the top of the git checkout down count, of .dockerignore that of each
folder that is named as one's context. Whatever any of them leaves out stays out. The user's own
git configuration does not count: an image is to be the same for everybody.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

from imagekit.ignoring import docker, git
from imagekit.values import frozen

Verdict = Literal["keep", "leave out", "look inside"]
"""`look inside`: a folder that is left out, but maybe not all that it holds."""

_GIT, _DOCKER = ".gitignore", ".dockerignore"


@frozen
class Rules:
    """For one folder; paths are absolute. `root` is the tree's own, which is never judged."""

    root: str
    of_git: tuple[tuple[str, tuple[git.Pattern, ...]], ...] = ()
    of_docker: tuple[tuple[str, docker.Verdicts], ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to say."""
        return bool(self.of_git or self.of_docker)

    def entering(self, folder: str, names: Iterable[str]) -> Rules:
        """For the entries of `folder`, whose names are given."""
        if _GIT not in names:
            return self
        found = _read_git(folder)
        return replace(self, of_git=(*self.of_git, *found)) if found else self

    def judge(self, path: str, *, is_folder: bool) -> Verdict:
        for folder, patterns in reversed(self.of_git):
            relative = os.fsencode(_relative(path, folder))
            found = git.verdict(patterns, relative, is_folder=is_folder)
            if found:
                return "leave out"
            if found is not None:
                break
        if any(self._excluded(path, *each) for each in self.of_docker):
            return "look inside" if is_folder and self._takes_back() else "leave out"
        return "keep"

    def _excluded(self, path: str, folder: str, verdicts: docker.Verdicts) -> bool:
        above = _relative(self.root, folder)
        return docker.is_excluded(_relative(path, folder), verdicts, above=above)

    def _takes_back(self) -> bool:
        return any(takes_back for _, verdicts in self.of_docker for takes_back, _ in verdicts)


def rules_around(root: str, contexts: Iterable[str]) -> Rules:
    """What holds in the tree at `root`; a .dockerignore is read in each of `contexts` above it.

    Raises:
        OSError: one of the files can't be read.
    """
    found: list[tuple[str, tuple[git.Pattern, ...]]] = []
    for folder in _above(root):
        found += _read_git(folder)
    chosen = dict.fromkeys(folder for folder in contexts if _holds(folder, root))
    dockers = [(folder, _read_docker(folder)) for folder in chosen]
    return Rules(root, tuple(found), tuple(each for each in dockers if each[1]))


def _above(root: str) -> list[str]:
    """The folders from the top of the git checkout down to that above `root`; none outside one."""
    folders: list[str] = []
    folder = root
    while not os.path.lexists(os.path.join(folder, ".git")):
        parent = os.path.dirname(folder)
        if parent == folder:
            return []
        folders.append(parent)
        folder = parent
    return folders[::-1]


def _holds(folder: str, path: str) -> bool:
    return os.path.commonpath([folder, path]) == folder


def _relative(path: str, folder: str) -> str:
    return path[len(folder.rstrip("/")) + 1 :]


def _read_git(folder: str) -> list[tuple[str, tuple[git.Pattern, ...]]]:
    data = _content(os.path.join(folder, _GIT), os.O_NOFOLLOW)  # git follows no link here
    patterns = git.parse(data)
    return [(folder, patterns)] if patterns else []


def _read_docker(folder: str) -> docker.Verdicts:
    return docker.parse(_content(os.path.join(folder, _DOCKER)).decode(errors="surrogateescape"))


def _content(path: str, flags: int = 0) -> bytes:
    """Of a file; nothing where there is none. It is opened in any case, so that it is noticed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | flags)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):
            return b""
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b""
        with open(descriptor, "rb", closefd=False) as stream:
            return stream.read()
    finally:
        os.close(descriptor)
