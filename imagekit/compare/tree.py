# SPDX-License-Identifier: Apache-2.0
"""What an image's layers come to when they lie over each other, without writing any of it down.

Names and links are resolved as an engine would; see `imagekit.oci.unpack`, which writes files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from imagekit.errors import IntegrityError
from imagekit.values import frozen

Kind = Literal["directory", "file", "link", "device", "pipe"]
_LINK_LIMIT = 40


@frozen
class Entry:
    """What stands at one path.

    Attributes:
        kind: what it is.
        mode: permissions with the set-ID and sticky bits.
        uid: owner.
        gid: group.
        mtime_seconds: since 1970.
        size_bytes: of a file.
        content: sha256 of a file, target of a link, major:minor of a device.
        attributes: extended attributes, by name.
        kept: what `reading` kept of the content: packages, or what of it counts.
    """

    kind: Kind
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    mtime_seconds: int = 0
    size_bytes: int = 0
    content: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    kept: tuple[str, ...] = ()


_IMPLIED = Entry("directory")
"""A folder that no layer lists, as engines make it."""


@dataclass(slots=True)
class _Node:
    entry: Entry
    layer: int
    hidden: int = 0
    """The last layer that hid what was below: it hides nothing a second time."""
    children: dict[bytes, _Node] = field(default_factory=dict)

    def copy(self) -> _Node:
        children = {name: child.copy() for name, child in self.children.items()}
        return _Node(self.entry, self.layer, self.hidden, children)


class FileTree:
    """Layers are added base first, `begin_layer` before each. Paths come as their parts."""

    def __init__(self) -> None:
        self._root = _Node(_IMPLIED, 0)
        self._layer = 0

    def copy(self) -> FileTree:
        """Another tree that holds the same."""
        made = FileTree()
        made._root, made._layer = self._root.copy(), self._layer
        return made

    def begin_layer(self) -> None:
        self._layer += 1

    def put(self, parts: Sequence[bytes], entry: Entry) -> None:
        """Put `entry` there; a folder over a folder keeps what is in it."""
        if not parts:
            self._root.entry = entry
            return
        parent = self._made_folder(parts[:-1])
        existing = parent.children.get(parts[-1])
        if existing is not None and existing.entry.kind == entry.kind == "directory":
            existing.entry, existing.layer = entry, self._layer
        else:
            parent.children[parts[-1]] = _Node(entry, self._layer)

    def hard_link(self, parts: Sequence[bytes], target: Sequence[bytes]) -> None:
        """Put the file that stands at `target` at `parts` as well."""
        folder = self._folder(target[:-1])
        node = folder.children.get(target[-1]) if folder and target else None
        if node is None or node.entry.kind == "directory":
            raise IntegrityError(f"{b'/'.join(parts)[:200]!r}: a hard link to no file")
        self.put(parts, node.entry)

    def white_out(self, parts: Sequence[bytes]) -> None:
        """Hide what lower layers have at the path; what this layer put there stays."""
        parent = self._folder(parts[:-1])
        if parent is not None and parts[-1] in parent.children:
            self._hide(parent, parts[-1])

    def clear(self, parts: Sequence[bytes]) -> None:
        """Hide what lower layers have in a folder."""
        folder = self._folder(parts)
        if folder is not None and folder.hidden != self._layer:
            folder.hidden = self._layer
            for name in list(folder.children):
                self._hide(folder, name)

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """Every path below the root without its leading slash, parents first, sorted."""
        pending = [(b"", self._root)]
        while pending:
            path, node = pending.pop()
            if path:
                yield path.decode("utf-8", "surrogateescape"), node.entry
            prefix = path + b"/" if path else b""
            children = sorted(node.children.items(), reverse=True)
            pending.extend((prefix + name, child) for name, child in children)

    def _hide(self, parent: _Node, name: bytes) -> None:
        """Depth without bound: layers may come from anybody."""
        pending = [(parent, name, False)]
        while pending:
            parent, name, emptied = pending.pop()
            node = parent.children[name]
            if emptied:
                if node.layer < self._layer and not node.children:
                    del parent.children[name]
                continue
            pending.append((parent, name, True))
            if node.hidden != self._layer:
                node.hidden = self._layer
                pending.extend((node, child, False) for child in node.children)

    def _made_folder(self, parts: Sequence[bytes]) -> _Node:
        folder = self._folder(parts, make=True)
        if folder is None:
            raise IntegrityError(f"a path goes through a file: {b'/'.join(parts)[:200]!r}")
        return folder

    def _folder(self, parts: Sequence[bytes], *, make: bool = False) -> _Node | None:
        """The folder at `parts`, links followed within the image; None where there is none."""
        trail = [self._root]
        pending = list(parts[::-1])
        links = 0
        while pending:
            part = pending.pop()
            if part == b"..":
                trail = trail[:-1] or trail
            elif part not in (b"", b"."):
                node = self._child(trail[-1], part, make=make)
                if node is None:
                    return None
                if node.entry.kind == "directory":
                    trail.append(node)
                    continue
                links += 1
                if links > _LINK_LIMIT:
                    raise IntegrityError(f"links in circles at {b'/'.join(parts)[:200]!r}")
                target = node.entry.content.encode("utf-8", "surrogateescape")
                trail = trail[:1] if target.startswith(b"/") else trail
                pending.extend(target.split(b"/")[::-1])
        return trail[-1]

    def _child(self, folder: _Node, name: bytes, *, make: bool) -> _Node | None:
        """The folder or link of that name; None where there is none, and for anything else."""
        node = folder.children.get(name)
        if node is None and make:
            node = folder.children[name] = _Node(_IMPLIED, self._layer)
        return node if node and node.entry.kind in ("directory", "link") else None
