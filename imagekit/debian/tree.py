# SPDX-License-Identifier: Apache-2.0
"""A root file system: what every path is, beside the contents on disk.

The disk belongs to whoever runs the build, so owners and modes are kept here, not there.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path, PurePosixPath

from imagekit.errors import IntegrityError
from imagekit.values import frozen

FILE, DIRECTORY, LINK, HARD_LINK = "file", "directory", "link", "hard link"
_LINKS_FOLLOWED = 40


@frozen
class Node:
    """What stands at a path. `target`: of a link as written, of a hard link a path in the tree.

    `sha256` is empty where the content was not looked at.
    """

    kind: str
    mode: int
    uid: int = 0
    gid: int = 0
    target: str = ""
    size_bytes: int = 0
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Tree:
    """Paths are relative to the image's root, without a leading slash.

    `root` holds the same tree on disk, with links that stay inside it: enough to run its programs.
    """

    root: Path
    nodes: Mapping[str, Node]

    def read(self, path: str) -> bytes:
        """The content of a regular file, checked against what was unpacked where that is known.

        Raises:
            IntegrityError: the folder on disk was changed since.
        """
        node = self.nodes[path]
        source = node.target if node.kind == HARD_LINK else path
        expected = self.nodes[source].sha256
        try:
            with open(location(self.root, source), "rb") as stream:
                data = stream.read()
        except OSError as error:
            raise _changed(self.root, path) from error
        if expected and hashlib.sha256(data).hexdigest() != expected:
            raise _changed(self.root, path)
        return data

    def resolve(self, path: str) -> str | None:
        """The path that `path` leads to when links are followed inside the tree, if it exists."""
        done: list[str] = []
        parts = path.split("/")[::-1]
        followed = 0
        while parts:
            part = parts.pop()
            if part in ("", "."):
                continue
            if part == "..":
                done = done[:-1]
                continue
            node = self.nodes.get("/".join((*done, part)))
            if node is None:
                return None
            if node.kind != LINK:
                done.append(part)
                continue
            followed += 1
            if followed > _LINKS_FOLLOWED:
                return None
            done = [] if node.target.startswith("/") else done
            parts.extend(node.target.split("/")[::-1])
        return "/".join(done)


def location(root: Path, path: str) -> bytes:
    """Where `path` lies on disk. Bytes: names are UTF-8, whatever the user's locale is."""
    return os.fsencode(root) + b"/" + path.encode("utf-8", "surrogateescape")


def inside(path: str, target: str) -> str:
    """A link's target, written so that it stays inside an unpacked root as it would in a chroot."""
    folder = PurePosixPath(path).parent.parts
    done = [] if target.startswith("/") else list(folder)
    for part in target.split("/"):
        if part == "..":
            done = done[:-1]
        elif part not in ("", "."):
            done.append(part)
    return "/".join((*[".."] * len(folder), *done)) or "."


def dump(nodes: Mapping[str, Node]) -> bytes:
    return json.dumps({path: astuple(node) for path, node in nodes.items()}).encode()


def load(root: Path, data: bytes) -> Tree:
    return Tree(root, {path: Node(*fields) for path, fields in json.loads(data).items()})


def _changed(root: Path, path: str) -> IntegrityError:
    return IntegrityError(
        f"{root}/{path} is not what was unpacked there", hint=f"remove {root.parent} and try again"
    )
