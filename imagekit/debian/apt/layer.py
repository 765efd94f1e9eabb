# SPDX-License-Identifier: Apache-2.0
"""The files of Debian packages as a layer over a base, placed as dpkg would place them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from imagekit.debian.apt.root import BaseRoot
from imagekit.debian.archive import Entry, control_files, data_entries
from imagekit.debian.base import DebPackage
from imagekit.debian.unpack import MERGED
from imagekit.errors import BuildError
from imagekit.layers.writer import LayerWriter

_CHUNK_BYTES = 1 << 20


def write_group(
    writer: LayerWriter, packages: Sequence[tuple[DebPackage, Path]], root: BaseRoot
) -> None:
    """Write the files of `packages`, each with its .deb, in their order.

    Folders that the base has keep its modes and owners, and configuration files that it has stay as
    they are. The rest replaces what is there.

    Raises:
        BuildError: two of the packages hold different things at one path.
    """
    group = _Group(writer, root)
    for package, deb in packages:
        group.add(package, deb)


def conffiles(control: Mapping[str, bytes]) -> list[str]:
    """Paths without the leading slash; those that the package has given up are not among them."""
    lines = control.get("conffiles", b"").decode("utf-8", "surrogateescape").splitlines()
    words = [line.split() for line in lines if line.strip()]
    return [each[-1].lstrip("/") for each in words if each[0] != "remove-on-upgrade"]


def placed(path: str, package: str, root: BaseRoot) -> str:
    """Where dpkg puts what `package` holds at `path`."""
    return root.real(root.diverted(path, package))


class Folders:
    """The folders of a layer: each once, before what is in it."""

    def __init__(self, writer: LayerWriter, root: BaseRoot) -> None:
        self._writer = writer
        self._root = root
        self._made: set[str] = set()

    def make(self, entry: Entry) -> None:
        """A folder that the base has not."""
        if entry.path not in self._made:
            self.above(entry.path)
            self._made.add(entry.path)
            self._writer.directory(entry.path, mode=entry.mode, uid=entry.uid, gid=entry.gid)

    def above(self, path: str) -> None:
        """Those above `path`, with what they are in the base, since a layer says it anew."""
        parts = path.split("/")[:-1]
        for length in range(1, len(parts) + 1):
            parent = "/".join(parts[:length])
            if parent not in self._made:
                self._made.add(parent)
                found = self._root.folder(parent)
                self._writer.directory(parent, mode=found.mode, uid=found.uid, gid=found.gid)


class _Group:
    def __init__(self, writer: LayerWriter, root: BaseRoot) -> None:
        self._writer = writer
        self._root = root
        self._owners: dict[str, str] = {}
        self._folders = Folders(writer, root)

    def add(self, package: DebPackage, deb: Path) -> None:
        settings = {*conffiles(control_files(deb))}
        left_out: set[str] = set()
        with data_entries(deb) as entries:
            for entry, stream in entries:
                path = placed(entry.path, package.name, self._root)
                there = dataclasses.replace(entry, path=path)
                kept = entry.path in settings and self._root.node(path) is not None
                if kept or self._root.left_out(entry.path):
                    left_out.add(path)
                elif entry.kind == "directory" or entry.path in MERGED:
                    self._folder(there)
                else:
                    self._write(package, there, stream, left_out)

    def _folder(self, entry: Entry) -> None:
        # What is a link in the base stays one; so does what another package has made.
        here = self._root.node(entry.path)
        if entry.kind == "directory" and here is None:
            self._folders.make(entry)

    def _write(
        self, package: DebPackage, entry: Entry, stream: IO[bytes] | None, left_out: set[str]
    ) -> None:
        owner = self._owners.setdefault(entry.path, package.name)
        if owner != package.name:
            raise BuildError(f"Debian packages {owner} and {package.name} both hold /{entry.path}")
        self._folders.above(entry.path)
        if entry.kind == "link":
            self._writer.symlink(entry.path, entry.target, uid=entry.uid, gid=entry.gid)
        elif entry.kind == "hard link":
            target = placed(entry.target, package.name, self._root)
            if target not in left_out:
                self._writer.hard_link(entry.path, target)
        elif stream is not None:
            self._file(entry, stream)

    def _file(self, entry: Entry, stream: IO[bytes]) -> None:
        self._writer.stream(
            entry.path,
            entry.size_bytes,
            iter(lambda: stream.read(_CHUNK_BYTES), b""),
            mode=entry.mode,
            uid=entry.uid,
            gid=entry.gid,
        )
