# SPDX-License-Identifier: Apache-2.0
"""A layer of the user's own files: source and copies.

Everything belongs to uid 1000 and group 0 and is writable for both, so that a task can write
beside its code under either, as on clusters that run images with random user ids.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from imagekit.errors import BuildError
from imagekit.ignoring.rules import Rules, rules_around
from imagekit.values import frozen

if TYPE_CHECKING:
    from imagekit.layers.writer import LayerWriter

_OWNER, _GROUP = 1000, 0
_IGNORED = (".git", "__pycache__", "*.pyc", ".cache", ".venv")


@frozen
class Node:
    """One file, folder or link below the root, as it was found.

    Attributes:
        path: relative, with `/`.
        target: of a symbolic link, as it is written; else empty.
        sha256: of a file's content, in hexadecimal; else empty.
    """

    path: str
    source: Path
    kind: str
    size_bytes: int = 0
    executable: bool = False
    target: str = ""
    sha256: str = ""

    @property
    def identity(self) -> tuple[str, str, bool, str, str]:
        """What of the node reaches the image."""
        return (self.path, self.kind, self.executable, self.target, self.sha256)


def scan(
    root: Path,
    prefix: str = "",
    *,
    leave_out: Collection[Path] = (),
    contexts: Collection[Path] = (),
) -> tuple[Node, ...]:
    """What a folder, file or link holds, sorted by path, below `prefix`.

    Left out: version control, bytecode and caches, the absolute paths in `leave_out`, and what
    .gitignore files and the .dockerignore of each of `contexts` say. `root` itself is taken,
    whatever they say of it.

    Raises:
        BuildError: it can't be read, or holds a socket, pipe or device.
    """
    try:
        rules = rules_around(os.path.abspath(root), map(os.path.abspath, contexts))
        found = list(_walk(root, prefix, rules, frozenset(leave_out)))
    except OSError as error:
        raise BuildError(f"reading {error.filename}: {error.strerror}") from error
    return tuple(sorted(found, key=lambda node: node.path.split("/")))


def write_tree(writer: LayerWriter, nodes: Collection[Node], workdir: str) -> None:
    """Write nodes below `workdir`, a path without a leading slash; their parents come first."""
    writer.directory(workdir, mode=0o775, uid=_OWNER, gid=_GROUP)
    for path in _missing_parents(nodes):
        writer.directory(f"{workdir}/{path}", mode=0o775, uid=_OWNER, gid=_GROUP)
    for node in nodes:
        path = f"{workdir}/{node.path}"
        mode = 0o775 if node.executable else 0o664
        if node.kind == "directory":
            writer.directory(path, mode=0o775, uid=_OWNER, gid=_GROUP)
        elif node.kind == "link":
            writer.symlink(path, node.target, uid=_OWNER, gid=_GROUP)
        else:
            chunks = _unchanged(node)
            writer.stream(path, node.size_bytes, chunks, mode=mode, uid=_OWNER, gid=_GROUP)


def _walk(
    path: Path, relative: str, rules: Rules, leave_out: frozenset[Path], *, shown: bool = True
) -> Iterator[Node]:
    """`shown`: whether a folder is taken itself, and not only what is kept in it."""
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        yield Node(relative, path, "link", target=_text(os.readlink(path)))
    elif stat.S_ISDIR(status.st_mode):
        if relative and shown:
            yield Node(relative, path, "directory")
        yield from _below(path, relative, rules, leave_out)
    elif stat.S_ISREG(status.st_mode):
        size_bytes, sha256 = _read(path)
        executable = bool(status.st_mode & 0o111)
        yield Node(relative, path, "file", size_bytes, executable, sha256=sha256)
    else:
        raise BuildError(f"{path}: sockets, pipes and devices can't be copied into an image")


def _below(folder: Path, relative: str, rules: Rules, leave_out: frozenset[Path]) -> Iterator[Node]:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    rules = rules.entering(os.path.abspath(folder), [entry.name for entry in entries])
    for entry in entries:
        child = folder / entry.name
        ignored = any(fnmatch.fnmatchcase(entry.name, pattern) for pattern in _IGNORED)
        if ignored or child.absolute() in leave_out:
            continue
        is_folder = entry.is_dir(follow_symlinks=False)
        verdict = rules.judge(os.path.abspath(child), is_folder=is_folder) if rules else "keep"
        if verdict != "leave out":
            path = f"{relative}/{_text(entry.name)}".lstrip("/")
            yield from _walk(child, path, rules, leave_out, shown=verdict == "keep")


def _text(name: str) -> str:
    """The same under every locale: names are bytes to the kernel, and UTF-8 to us."""
    return os.fsencode(name).decode("utf-8", "surrogateescape")


def _read(path: Path) -> tuple[int, str]:
    digest = hashlib.sha256()
    size_bytes = 0
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
            size_bytes += len(chunk)
    return size_bytes, digest.hexdigest()


def _unchanged(node: Node) -> Iterator[bytes]:
    digest = hashlib.sha256()
    with node.source.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
            yield chunk
    if digest.hexdigest() != node.sha256:
        raise BuildError(f"{node.source} changed during the build", hint="build again")


def _missing_parents(nodes: Collection[Node]) -> list[str]:
    """Parents that no node stands for, outermost first."""
    present = {node.path for node in nodes if node.kind == "directory"}
    missing = set()
    for node in nodes:
        parent = node.path.rpartition("/")[0]
        while parent:
            missing.add(parent)
            parent = parent.rpartition("/")[0]
    return sorted(missing - present)
