# SPDX-License-Identifier: Apache-2.0
"""The file tree that a stack of layers makes, from their outlines, without unpacking them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from posixpath import dirname, join

from imagekit.compare import tree
from imagekit.errors import IntegrityError
from imagekit.lock.outline import Entry

_LINK_LIMIT = 40
_LIMIT_MEMBERS = 2_000_000


class Tree:
    """Paths are absolute without the leading slash."""

    def __init__(self, layers: Iterable[Iterable[Entry]]) -> None:
        """Lay the layers over each other, base first.

        Raises:
            IntegrityError: they can't be, or have more files than any image needs.
        """
        self._nodes = dict(_laid(layers).entries())

    def find(self, path: str) -> tuple[str, tree.Entry] | None:
        """Where `path` leads when links are followed, and what is there."""
        real = self._follow(path.strip("/"))
        node = self._nodes.get(real)
        return None if node is None else (real, node)

    def lookup(self, path: str) -> tree.Entry | None:
        """What stands at `path` itself, a link not followed."""
        return self._nodes.get(path.strip("/"))

    def matching(self, pattern: re.Pattern[str]) -> Iterator[tuple[str, tree.Entry]]:
        """Files whose whole path matches."""
        for path, node in self._nodes.items():
            if node.kind == "file" and pattern.fullmatch(path):
                yield path, node

    def nodes(self) -> Mapping[str, tree.Entry]:
        """All that there is, by path."""
        return self._nodes

    def names(self, folder: str) -> Iterator[str]:
        """What stands in `folder`, links to it followed."""
        prefix = f"{self._follow(folder.strip('/'))}/"
        for path in self._nodes:
            if path.startswith(prefix) and "/" not in path[len(prefix) :]:
                yield path[len(prefix) :]

    def _follow(self, path: str) -> str:
        """`path` with every link resolved; as it is where links go in circles."""
        pending = path.split("/")[::-1]
        done = ""
        links = 0
        while pending:
            part = pending.pop()
            node = self._nodes.get(join(done, part))
            if part == "..":
                done = dirname(done)
            elif part in ("", "."):
                continue
            elif node is None or node.kind != "link" or links == _LINK_LIMIT:
                done = join(done, part)
            else:
                links += 1
                done = "" if node.content.startswith("/") else done
                pending.extend(node.content.split("/")[::-1])
        return done


def _laid(layers: Iterable[Iterable[Entry]]) -> tree.FileTree:
    made = tree.FileTree()
    count = 0
    for layer in layers:
        made.begin_layer()
        for entry in layer:
            _add(made, entry)
            count += 1
            if count > _LIMIT_MEMBERS:
                raise IntegrityError(f"the base has more than {_LIMIT_MEMBERS} files")
    return made


def _add(made: tree.FileTree, entry: Entry) -> None:
    parts = _parts(entry.name)
    match entry.kind:
        case "whiteout":
            made.white_out(parts)
        case "opaque":
            made.clear(parts)
        case "hard link":
            made.hard_link(parts, _parts(entry.target))
        case kind:
            kept = () if entry.kept is None else (entry.kept,)
            owned = (entry.mode, entry.uid, entry.gid)
            made.put(parts, tree.Entry(kind, *owned, content=entry.target, kept=kept))


def _parts(path: str) -> list[bytes]:
    return os.fsencode(path).split(b"/") if path else []
