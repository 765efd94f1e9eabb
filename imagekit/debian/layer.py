# SPDX-License-Identifier: Apache-2.0
"""A base's tree as one layer, with bytecode of its standard library."""

from __future__ import annotations

from collections.abc import Iterator

from imagekit.debian.tree import DIRECTORY, FILE, HARD_LINK, LINK, Tree
from imagekit.errors import BuildError
from imagekit.layers.bytecode import BytecodeCompiler
from imagekit.layers.writer import LayerWriter
from imagekit.values import frozen


@frozen
class BaseLayer:
    """What `write_layer` did. Without bytecode, a start in the image takes several times longer."""

    bytecode_files: int

    @property
    def has_bytecode(self) -> bool:
        return self.bytecode_files > 0


def write_layer(tree: Tree, writer: LayerWriter, compiler: BytecodeCompiler | None) -> BaseLayer:
    """Write all of `tree`, then its bytecode, in an order that follows from the tree alone.

    `compiler` is one that was entered for `tree.root`, or None where this machine can't run the
    base's interpreter; the caller tells the user so. The caller finishes the writer.
    """
    for path in sorted(tree.nodes):
        _write(tree, path, writer)
    if compiler is None:
        return BaseLayer(0)
    count = 0
    for pyc_path, pyc in compiler.compile(_sources(tree)):
        if pyc is not None:
            writer.file(pyc_path, pyc)
            count += 1
    if not count:
        raise BuildError("the Debian base's interpreter compiled nothing of its standard library")
    return BaseLayer(count)


def _write(tree: Tree, path: str, writer: LayerWriter) -> None:
    node = tree.nodes[path]
    if node.kind == DIRECTORY:
        writer.directory(path, mode=node.mode, uid=node.uid, gid=node.gid)
    elif node.kind == LINK:
        writer.symlink(path, node.target, uid=node.uid, gid=node.gid)
    elif node.kind == HARD_LINK:
        writer.hard_link(path, node.target)
    elif node.kind == FILE:
        writer.file(path, tree.read(path), mode=node.mode, uid=node.uid, gid=node.gid)


def _sources(tree: Tree) -> Iterator[tuple[str, bytes]]:
    """The modules of the standard library, those that are links included."""
    for path in sorted(tree.nodes):
        if not path.startswith("usr/lib/python3") or not path.endswith(".py"):
            continue
        real = tree.resolve(path)
        if real is not None and tree.nodes[real].kind in (FILE, HARD_LINK):
            yield path, tree.read(real)
