# SPDX-License-Identifier: Apache-2.0
"""One file at a source, and what its bytes have to be."""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import FilesError

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """`path` is where it belongs; None of the other things is known of every source."""

    path: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    size_bytes: int | None = None
    sha256: str | None = None
    git_sha1: str | None = None
    """Of a file that a git repository holds itself: a hub has no sha256 of it."""
    is_tar: bool = False
    """It is a layer, and the files are in it; `sha256` is the layer's."""
    holds: tuple[str, int, str] | None = None
    """Of a layer with one file that says so: its path, size and sha256."""

    @property
    def identity(self) -> str:
        """Two remotes of one identity have the same bytes, if they say anything of them."""
        return self.sha256 or self.git_sha1 or ""

    def check(self, path: str) -> str:
        """The sha256 of the file at `path`; FilesError unless it is this one."""
        sha256, git, size = hashlib.sha256(), hashlib.sha1(usedforsecurity=False), 0
        if self.git_sha1 is not None:
            git.update(f"blob {self.size_bytes}\0".encode())
        with open(path, "rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                size += len(chunk)
                sha256.update(chunk)
                if self.git_sha1 is not None:
                    git.update(chunk)
        if self.size_bytes is not None and size != self.size_bytes:
            raise FilesError(f"{self.path} has {size} bytes, not {self.size_bytes}")
        if self.sha256 is not None and sha256.hexdigest() != self.sha256:
            raise FilesError(f"{self.path} has sha256 {sha256.hexdigest()}, not {self.sha256}")
        if self.sha256 is None and self.git_sha1 not in (None, git.hexdigest()):
            raise FilesError(f"{self.path} is not the file of the hub's repository")
        return sha256.hexdigest()


def wanted(path: str, include: Sequence[str]) -> bool:
    """Whether one of the patterns takes the path, or its last part; no pattern takes all."""
    name = path.rpartition("/")[2]
    return not include or any(
        fnmatch.fnmatchcase(each, pattern) for pattern in include for each in (path, name)
    )
