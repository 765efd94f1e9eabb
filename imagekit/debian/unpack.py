# SPDX-License-Identifier: Apache-2.0
"""From .debs to one merged tree, without dpkg and without root.

Contents go to numbered files first; only when every path of every package was checked against
the others do they move to their places, so no package decides where bytes are written.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import IO

from imagekit.debian.archive import Entry, control_files, data_entries
from imagekit.debian.base import DebianBase, DebPackage
from imagekit.debian.releases import Content
from imagekit.debian.tree import DIRECTORY, FILE, HARD_LINK, LINK, Node, inside, location
from imagekit.errors import BuildError, IntegrityError
from imagekit.values import frozen

MERGED = frozenset({"bin", "lib", "lib32", "lib64", "libx32", "sbin"})
"""Top directories that are links into /usr (Debian's merged /usr)."""

_CHUNK_BYTES = 1 << 20
_THREADS = 2


@frozen
class UnpackedDeb:
    """One package: its control files, the paths that it holds as written, and its nodes.

    `blobs` tells where the content of each file node lies for now.
    """

    package: DebPackage
    control: Mapping[str, bytes]
    listed: tuple[str, ...]
    nodes: Mapping[str, Node]
    blobs: Mapping[str, Path]


def unpack_all(
    base: DebianBase, debs: Mapping[str, Path], directory: Path, content: Content
) -> list[UnpackedDeb]:
    """The base's packages, `base-files` first: of a directory in several, the first one counts."""
    packages = sorted(
        base.packages, key=lambda package: (package.name != "base-files", package.name)
    )

    def one(numbered: tuple[int, DebPackage]) -> UnpackedDeb:
        number, package = numbered
        folder = directory / str(number)
        folder.mkdir()
        return _unpack(package, debs[package.sha256], folder, content)

    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(one, enumerate(packages)))


def merge(unpacked: Sequence[UnpackedDeb]) -> tuple[dict[str, Node], dict[str, Path]]:
    """All packages' nodes as one tree, and where each file's content lies.

    Raises:
        BuildError: two packages hold different things at one path.
        IntegrityError: a package's path leads through a link or a file.
    """
    nodes: dict[str, Node] = {}
    owners: dict[str, str] = {}
    blobs: dict[str, Path] = {}
    for deb in unpacked:
        for path, node in deb.nodes.items():
            _add_parents(nodes, path, deb.package.name)
            present = nodes.get(path)
            if present is None:
                nodes[path] = node
                owners[path] = deb.package.name
                if path in deb.blobs:
                    blobs[path] = deb.blobs[path]
            elif present != node and not present.kind == node.kind == DIRECTORY:
                raise BuildError(
                    f"Debian packages {owners.get(path, '?')} and {deb.package.name} both hold "
                    f"/{path}, and differ"
                )
    return {path: nodes[path] for path in sorted(nodes)}, blobs


def write_tree(nodes: Mapping[str, Node], blobs: Mapping[str, Path], root: Path) -> None:
    """Make the tree at `root`, which must not exist. Modes on disk are only what running needs."""
    root.mkdir()
    for path, node in nodes.items():
        place = location(root, path)
        if node.kind == DIRECTORY:
            os.mkdir(place)
        elif node.kind == LINK:
            os.symlink(inside(path, node.target).encode("utf-8", "surrogateescape"), place)
        elif node.kind == FILE:
            os.rename(os.fsencode(blobs[path]), place)
            os.chmod(place, 0o755 if node.mode & 0o111 else 0o644)
    for path, node in nodes.items():
        if node.kind == HARD_LINK:
            os.link(location(root, node.target), location(root, path))


def _unpack(package: DebPackage, deb: Path, folder: Path, content: Content) -> UnpackedDeb:
    nodes: dict[str, Node] = {}
    blobs: dict[str, Path] = {}
    listed = []
    with data_entries(deb) as entries:
        for entry, stream in entries:
            listed.append(entry.path)
            path = _merged(entry)
            if path is None or _dropped(path, content):
                continue
            if path in nodes and not nodes[path].kind == entry.kind == DIRECTORY:
                raise IntegrityError(f"{package.name}: holds /{path} twice")
            nodes[path] = _node(entry, nodes, package.name)
            if stream is not None:
                blobs[path] = folder / str(len(blobs))
                nodes[path] = _stored(nodes[path], stream, blobs[path])
    return UnpackedDeb(package, control_files(deb), tuple(listed), _canonical(nodes, blobs), blobs)


def _merged(entry: Entry) -> str | None:
    """The path of `entry` in a merged /usr; None for the links that make it one."""
    if entry.path.partition("/")[0] not in MERGED:
        return entry.path
    if entry.path in MERGED and entry.kind == LINK:
        if entry.target.strip("/") != f"usr/{entry.path}":
            raise IntegrityError(f"/{entry.path} is a link to {entry.target[:80]!r}")
        return None
    return f"usr/{entry.path}"


def _dropped(path: str, content: Content) -> bool:
    inside_dropped = any(path == top or path.startswith(f"{top}/") for top in content.dropped)
    return inside_dropped and not any(
        _matches(path, kept) for kept in _prefixes(content.kept.split("/"))
    )


def _prefixes(pattern: Sequence[str]) -> list[Sequence[str]]:
    """The pattern and those of the directories above what it names."""
    return [pattern[:length] for length in range(1, len(pattern) + 1)]


def _matches(path: str, pattern: Sequence[str]) -> bool:
    parts = path.split("/")
    return len(parts) == len(pattern) and all(
        wanted in ("*", part) for wanted, part in zip(pattern, parts, strict=True)
    )


def _node(entry: Entry, nodes: Mapping[str, Node], package: str) -> Node:
    target = entry.target
    if entry.kind == HARD_LINK:
        target = _merged(replace(entry, path=entry.target, kind=FILE, target="")) or ""
        if target not in nodes or nodes[target].kind not in (FILE, HARD_LINK):
            raise IntegrityError(f"{package}: /{entry.path} is a hard link to no file of it")
    return Node(entry.kind, entry.mode, entry.uid, entry.gid, target)


def _stored(node: Node, stream: IO[bytes], blob: Path) -> Node:
    digest = hashlib.sha256()
    size_bytes = 0
    with blob.open("xb") as sink:
        while chunk := stream.read(_CHUNK_BYTES):
            sink.write(chunk)
            digest.update(chunk)
            size_bytes += len(chunk)
    return replace(node, size_bytes=size_bytes, sha256=digest.hexdigest())


def _canonical(nodes: dict[str, Node], blobs: dict[str, Path]) -> dict[str, Node]:
    """The same tree, where of files that are one the first by name is the file."""
    groups: dict[str, list[str]] = {}
    for path, node in nodes.items():
        if node.kind == HARD_LINK:
            source = node.target
            while nodes[source].kind == HARD_LINK:
                source = nodes[source].target
            groups.setdefault(source, [source]).append(path)
    result = dict(nodes)
    for source, paths in groups.items():
        first, *others = sorted(paths)
        result[first] = nodes[source]
        if first != source:
            blobs[first] = blobs.pop(source)
        for path in others:
            result[path] = replace(nodes[source], kind=HARD_LINK, target=first)
    return result


def _add_parents(nodes: dict[str, Node], path: str, package: str) -> None:
    parts = path.split("/")
    for length in range(1, len(parts)):
        parent = "/".join(parts[:length])
        node = nodes.setdefault(parent, Node(DIRECTORY, 0o755))
        if node.kind != DIRECTORY:
            raise IntegrityError(f"{package}: /{path} leads through /{parent}, a {node.kind}")
