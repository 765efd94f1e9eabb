# SPDX-License-Identifier: Apache-2.0
"""The file tree that a stack of layers makes, from their tar headers, without unpacking them."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from posixpath import dirname, join
from typing import BinaryIO, Literal

from imagekit.errors import LockError

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_LINK_LIMIT = 40
_LARGEST_BYTES = 256 << 20
_LAYER_BYTES = 64 << 30

Inspect = Callable[[bytes], str]
"""Turns a file's content into what is kept of it."""


@dataclass(frozen=True, slots=True)
class Node:
    """One path; `target` of a link as written, `kept` what `Inspect` made of a file."""

    kind: Literal["folder", "file", "link"]
    layer: int
    mode: int
    uid: int
    gid: int
    target: str = ""
    kept: str = ""


class Tree:
    """Paths are absolute without the leading slash. Layers are added base first."""

    def __init__(self, inspectors: Mapping[re.Pattern[str], Inspect]) -> None:
        self._inspectors = inspectors
        self._nodes: dict[str, Node] = {}
        self._layer = 0

    def add(self, stream: BinaryIO) -> None:
        """Lay one layer, an uncompressed tar, over what is there.

        Raises:
            LockError: it is not a tar file.
        """
        self._layer += 1
        try:
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                for member in archive:
                    self._add(archive, member)
        except tarfile.TarError as error:
            raise LockError(f"layer {self._layer} of the base is no tar file: {error}") from error

    def find(self, path: str) -> tuple[str, Node] | None:
        """Where `path` leads when links are followed, and what is there."""
        real = self._follow(path.strip("/"))
        node = None if real is None else self._nodes.get(real)
        return None if real is None or node is None else (real, node)

    def lookup(self, path: str) -> Node | None:
        """What stands at `path` itself, a link not followed."""
        return self._nodes.get(path.strip("/"))

    def matching(self, pattern: re.Pattern[str]) -> Iterator[tuple[str, Node]]:
        """Files whose whole path matches."""
        for path, node in self._nodes.items():
            if node.kind == "file" and pattern.fullmatch(path):
                yield path, node

    def nodes(self) -> Mapping[str, Node]:
        """All that there is, by path."""
        return self._nodes

    def below(self, folder: str) -> bool:
        """Whether anything stands in `folder`."""
        return any(path.startswith(folder.strip("/") + "/") for path in self._nodes)

    def _add(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        if member.size > _LAYER_BYTES:  # it would be skipped block by block
            raise LockError(f"layer {self._layer} of the base holds a file of {member.size} bytes")
        path = self._place(member.name)
        if path is None:
            return
        name = path.rpartition("/")[2]
        if name == _OPAQUE:
            self._remove_below(dirname(path), older_than=self._layer)
        elif name.startswith(_WHITEOUT):
            self._remove(join(dirname(path), name.removeprefix(_WHITEOUT)))
        else:
            node = self._node(archive, member, path)
            if node.kind != "folder":
                self._remove_below(path, older_than=self._layer + 1)
            self._nodes[path] = node

    def _node(self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> Node:
        own = (self._layer, member.mode & 0o7777, member.uid, member.gid)
        if member.isdir():
            return Node("folder", *own)
        if member.issym():
            return Node("link", *own, target=member.linkname)
        if member.islnk():
            original = self._nodes.get(self._place(member.linkname) or "")
            if original is not None:
                return replace(original, layer=self._layer)
            return Node("file", *own)
        return Node("file", *own, kept=self._kept(archive, member, path))

    def _kept(self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> str:
        if not member.isreg() or member.size > _LARGEST_BYTES:
            return ""
        for pattern, inspect in self._inspectors.items():
            content = archive.extractfile(member) if pattern.fullmatch(path) else None
            if content is not None:
                with content:
                    return inspect(content.read())
        return ""

    def _place(self, name: str) -> str | None:
        """Where an entry lands: folders of lower layers may be links. None for the root itself."""
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise LockError(f"layer {self._layer} of the base holds the path {name!r}")
        if not parts:
            return None
        parent = self._follow("/".join(parts[:-1]))
        return join(parent or "/".join(parts[:-1]), parts[-1])

    def _follow(self, path: str) -> str | None:
        """`path` with every link resolved; None when links go in circles."""
        pending = path.split("/")[::-1]
        done: list[str] = []
        links = 0
        while pending:
            part = pending.pop()
            if part == "..":
                del done[-1:]
                continue
            if part in ("", "."):
                continue
            done.append(part)
            node = self._nodes.get("/".join(done))
            if node is not None and node.kind == "link":
                links += 1
                if links > _LINK_LIMIT:
                    return None
                done = [] if node.target.startswith("/") else done[:-1]
                pending.extend(node.target.split("/")[::-1])
        return "/".join(done)

    def _remove(self, path: str) -> None:
        self._nodes.pop(path, None)
        self._remove_below(path, older_than=self._layer + 1)

    def _remove_below(self, path: str, *, older_than: int) -> None:
        existing = self._nodes.get(path)
        if existing is not None and existing.kind != "folder":
            return
        prefix = path + "/"
        gone = [
            each
            for each, node in self._nodes.items()
            if each.startswith(prefix) and node.layer < older_than
        ]
        for each in gone:
            del self._nodes[each]
