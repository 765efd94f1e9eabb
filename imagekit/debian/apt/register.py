# SPDX-License-Identifier: Apache-2.0
"""What dpkg writes beside the files of packages: its database, and the loader's cache."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from imagekit.debian.apt.alternatives import Alternative, installed
from imagekit.debian.apt.layer import Folders, conffiles, placed
from imagekit.debian.apt.root import BaseRoot
from imagekit.debian.apt.scripts import alternatives_of
from imagekit.debian.archive import Entry, control_files, data_entries
from imagekit.debian.base import DebPackage
from imagekit.debian.control import Stanza, stanzas
from imagekit.debian.ldcache import make_cache, named_like_library
from imagekit.debian.status import DIRECTORY, KEPT, control_fields, info_files, stanza
from imagekit.debian.tree import DIRECTORY as FOLDER
from imagekit.debian.tree import HARD_LINK, LINK, Node, Tree
from imagekit.errors import BuildError
from imagekit.layers.writer import LayerWriter

_STATUS = f"{DIRECTORY}/status"
_CACHE = "etc/ld.so.cache"
_PROGRAMS = (".preinst", ".postinst", ".prerm", ".postrm", ".config")
_CONFIGURED = "etc/ld.so.conf"


def write_registration(
    writer: LayerWriter,
    packages: Sequence[tuple[DebPackage, Path]],
    root: BaseRoot,
    architecture: str,
) -> None:
    """Write what makes `packages`, each with its .deb, installed ones.

    Raises:
        BuildError: two of them hold different things at one path.
    """
    with tempfile.TemporaryDirectory() as scratch:
        found = _Found(root, Path(scratch))
        for package, deb in packages:
            found.add(package, deb)
        files, links = found.made(architecture)
    folders = Folders(writer, root)
    for path in sorted({*files, *links}):
        folders.above(path)
        if path in files:
            writer.file(path, files[path], mode=0o755 if path.endswith(_PROGRAMS) else 0o644)
        else:
            writer.symlink(path, links[path])


def loader_cache(
    packages: Sequence[tuple[DebPackage, Path]], root: BaseRoot, architecture: str
) -> bytes:
    """The loader's cache once `packages`, each with its .deb, are installed; empty for none."""
    with tempfile.TemporaryDirectory() as scratch:
        found = _Found(root, Path(scratch))
        for package, deb in packages:
            found.add(package, deb)
        files, _ = found.made(architecture)
    return files.get(_CACHE) or root.data(_CACHE)


@dataclass(frozen=True, slots=True)
class _Merged(Tree):
    """A base with what packages add; contents of libraries are in numbered files of `root`."""

    base: Tree
    contents: Mapping[str, Path] = field(default_factory=dict)

    def read(self, path: str) -> bytes:
        node = self.nodes[path]
        source = node.target if node.kind == HARD_LINK else path
        if source in self.contents:
            return self.contents[source].read_bytes()
        return self.base.read(path)


class _Found:
    """What is learnt of the packages, one after the other."""

    def __init__(self, root: BaseRoot, scratch: Path) -> None:
        self._root = root
        self._scratch = scratch
        # Without a dpkg in the base nobody runs the scripts that packages keep for later.
        self._kept = None if root.node("usr/bin/dpkg") else KEPT
        self._added: dict[str, Node] = {}
        self._owners: dict[str, str] = {}
        self._contents: dict[str, Path] = {}
        self._files: dict[str, bytes] = {}
        self._stanzas: dict[str, str] = {}
        self._alternatives: list[Alternative] = []
        self._has_libraries = False

    def add(self, package: DebPackage, deb: Path) -> None:
        control = control_files(deb)
        settings = dict.fromkeys(conffiles(control), "")
        listed = []
        with data_entries(deb) as entries:
            for entry, stream in entries:
                listed.append(entry.path)
                if entry.path in settings and stream is not None:
                    content = stream.read()
                    settings[entry.path] = hashlib.md5(content, usedforsecurity=False).hexdigest()
                    stream = io.BytesIO(content)  # noqa: PLW2901 - it was read
                self._place(package, entry, stream)
        fields = control_fields(control)
        marked = [(f"/{path}", digest) for path, digest in settings.items() if digest]
        self._stanzas[package.name] = stanza(fields, marked)
        kept = control.keys() - {"control"} if self._kept is None else self._kept
        self._files.update(info_files(fields, control, listed, kept))
        self._alternatives += alternatives_of(control)
        self._has_libraries |= b"ldconfig" in control.get("triggers", b"")

    def made(self, architecture: str) -> tuple[Mapping[str, bytes], Mapping[str, str]]:
        """Files with their contents, and links with their targets."""
        status = _merged(self._root.text(_STATUS), self._stanzas)
        files = {**self._files, _STATUS: status.encode("utf-8", "surrogateescape")}
        nodes = {**self._root.tree.nodes, **self._added}
        tree = _Merged(self._root.tree.root, nodes, self._root.tree, self._contents)
        chosen, links = installed(
            self._alternatives, self._root.text, lambda path: tree.resolve(path) is not None
        )
        links = {self._root.real(path): target for path, target in links.items()}
        files |= chosen
        if self._has_libraries:
            nodes.update((path, Node(LINK, 0o777, target=to)) for path, to in links.items())
            files[_CACHE], sonames = make_cache(tree, architecture)
            links |= sonames
        return files, links

    def _place(self, package: DebPackage, entry: Entry, stream: IO[bytes] | None) -> None:
        path = placed(entry.path, package.name, self._root)
        if entry.kind == FOLDER:
            self._added.setdefault(path, self._root.folder(path))
            return
        owner = self._owners.setdefault(path, package.name)
        if owner != package.name:
            raise BuildError(
                f"Debian packages {owner} and {package.name} both hold /{path}",
                hint="leave one of the two out",
            )
        if self._root.left_out(entry.path):
            return
        target = entry.target
        if entry.kind == HARD_LINK:
            target = placed(target, package.name, self._root)
        self._added[path] = Node(entry.kind, entry.mode, entry.uid, entry.gid, target)
        matters = named_like_library(path.rpartition("/")[2]) or path.startswith(_CONFIGURED)
        if stream is not None and matters:
            self._contents[path] = self._scratch / str(len(self._contents))
            self._contents[path].write_bytes(stream.read())


def _merged(status: str, added: Mapping[str, str]) -> str:
    """The base's status with new stanzas in their places: it is sorted by names."""
    found = [(name, block) for name, block in _blocks(status) if name not in added]
    return "".join(block for _, block in sorted([*found, *added.items()], key=lambda each: each[0]))


def _blocks(status: str) -> Iterator[tuple[str, str]]:
    """Each stanza as it is written, with the name of its package."""
    for block in status.split("\n\n"):
        if block.strip():
            fields: Stanza = next(stanzas(block))
            yield fields["Package"], f"{block.strip(chr(10))}\n\n"
