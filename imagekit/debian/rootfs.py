# SPDX-License-Identifier: Apache-2.0
"""What maintainer scripts would have made, made from the packages' own data instead."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from imagekit.debian.certificates import subject_hash
from imagekit.debian.ldcache import make_cache
from imagekit.debian.status import database
from imagekit.debian.tree import DIRECTORY, FILE, LINK, Node, Tree, location
from imagekit.debian.unpack import MERGED, UnpackedDeb
from imagekit.errors import BuildError

TASK_USER = b"task:*:1000:0:task:/root:/bin/sh\n"
"""The user that images run as. It has no password, so nobody logs in as it: no shadow file."""

_CERTIFICATES = "usr/share/ca-certificates/"
_BUNDLE = "etc/ssl/certs/ca-certificates.crt"
_LINKS: Mapping[str, str] = {
    "etc/dpkg/origins/default": "debian",
    "etc/localtime": "/usr/share/zoneinfo/Etc/UTC",
    # Where Debian's OpenSSL looks (OPENSSLDIR); the package with its program would bring these.
    "usr/lib/ssl/cert.pem": f"/{_BUNDLE}",
    "usr/lib/ssl/certs": "/etc/ssl/certs",
    "var/lock": "/run/lock",
    "var/run": "/run",
}
_COPIES: Mapping[str, str] = {
    "etc/group": "usr/share/base-passwd/group.master",
    "etc/nsswitch.conf": "usr/share/libc-bin/nsswitch.conf",
    "etc/profile": "usr/share/base-files/profile",
    "root/.bashrc": "usr/share/base-files/dot.bashrc",
    "root/.profile": "usr/share/base-files/dot.profile",
}
_DIRECTORIES = (
    "media",
    "mnt",
    "opt",
    "run/lock",
    "srv",
    "usr/local/bin",
    "usr/local/lib",
    "var/opt",
)
_HOME = Node(DIRECTORY, 0o775, 1000, 0)


class Rootfs:
    """A tree on its way to being whole: nodes, and where each file's content lies."""

    def __init__(self, nodes: dict[str, Node], blobs: dict[str, Path], directory: Path) -> None:
        self._nodes = nodes
        self._blobs = blobs
        self._directory = directory

    def complete(
        self, unpacked: list[UnpackedDeb], alternatives: Mapping[str, str]
    ) -> tuple[dict[str, Node], dict[str, Path]]:
        """Add everything but what is made from the finished tree (`finish`)."""
        for top in sorted(MERGED):
            if f"usr/{top}" in self._nodes:
                self._link(top, f"usr/{top}")
        for path in _DIRECTORIES:
            self._directory_at(path, Node(DIRECTORY, 0o1777 if path == "run/lock" else 0o755))
        for path, target in _LINKS.items():
            self._link(path, target)
        for path, source in _COPIES.items():
            self._file(path, self._read(source))
        self._alternatives(alternatives)
        self._file("etc/passwd", self._read("usr/share/base-passwd/passwd.master") + TASK_USER)
        self._file("etc/timezone", b"Etc/UTC\n")
        self._certificates()
        for path, data in database(unpacked).items():
            self._file(path, data)
        self._nodes["root"] = _HOME
        return {path: self._nodes[path] for path in sorted(self._nodes)}, self._blobs

    def _alternatives(self, alternatives: Mapping[str, str]) -> None:
        for path, target in alternatives.items():
            if target.lstrip("/") in self._nodes:
                name = f"etc/alternatives/{path.rpartition('/')[2]}"
                self._link(name, target)
                self._link(path, f"/{name}")

    def _certificates(self) -> None:
        """All authorities in the order of their names: as one bundle, and as OpenSSL's folder."""
        certificates = [
            path
            for path, node in sorted(self._nodes.items())
            if path.startswith(_CERTIFICATES) and path.endswith(".crt") and node.kind == FILE
        ]
        if not certificates:
            raise BuildError("the Debian base holds no certificate authorities")
        pems = {path: self._read(path).rstrip(b"\n") + b"\n" for path in certificates}
        listed = "".join(path.removeprefix(_CERTIFICATES) + "\n" for path in certificates)
        self._file("etc/ca-certificates.conf", listed.encode("utf-8", "surrogateescape"))
        self._file(_BUNDLE, b"".join(pems.values()))
        counts: Counter[str] = Counter()
        for path, pem in pems.items():
            name = path.rpartition("/")[2].removesuffix(".crt") + ".pem"
            self._link(f"etc/ssl/certs/{name}", f"/{path}")
            hashed = subject_hash(pem)
            self._link(f"etc/ssl/certs/{hashed}.{counts[hashed]}", name)
            counts[hashed] += 1

    def _read(self, path: str) -> bytes:
        if path not in self._blobs:
            raise BuildError(f"the Debian base's packages hold no /{path}")
        return self._blobs[path].read_bytes()

    def _file(self, path: str, data: bytes) -> None:
        if path in self._nodes:
            raise _taken(path)
        self._parents(path)
        blob = self._directory / f"made-{len(self._blobs)}"
        blob.write_bytes(data)
        self._nodes[path] = file_node(data)
        self._blobs[path] = blob

    def _link(self, path: str, target: str) -> None:
        """Replaces an empty directory, as the scripts do; anything else has to be absent."""
        present = self._nodes.get(path)
        if present is not None and present.kind == LINK and present.target == target:
            return
        occupied = any(other.startswith(f"{path}/") for other in self._nodes)
        if present is not None and (present.kind != DIRECTORY or occupied):
            raise _taken(path)
        self._parents(path)
        self._nodes[path] = Node(LINK, 0o777, target=target)

    def _directory_at(self, path: str, node: Node) -> None:
        self._parents(path)
        self._nodes.setdefault(path, node)

    def _parents(self, path: str) -> None:
        parts = path.split("/")[:-1]
        for length in range(1, len(parts) + 1):
            parent = "/".join(parts[:length])
            if self._nodes.setdefault(parent, Node(DIRECTORY, 0o755)).kind != DIRECTORY:
                raise _taken(parent)


def finish(tree: Tree, architecture: str) -> dict[str, Node]:
    """Add what follows from the tree as it lies on disk: the loader's cache and its links."""
    nodes = dict(tree.nodes)
    if "etc/ld.so.cache" in nodes:
        raise _taken("etc/ld.so.cache")
    cache, links = make_cache(tree, architecture)
    nodes["etc/ld.so.cache"] = file_node(cache)
    (tree.root / "etc/ld.so.cache").write_bytes(cache)
    for path, target in links.items():
        nodes[path] = Node(LINK, 0o777, target=target)
        os.symlink(os.fsencode(target), location(tree.root, path))
    return {path: nodes[path] for path in sorted(nodes)}


def file_node(data: bytes) -> Node:
    return Node(FILE, 0o644, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def _taken(path: str) -> BuildError:
    return BuildError(f"the Debian base's packages hold /{path}, which is to be made here")
