# SPDX-License-Identifier: Apache-2.0
"""The files of a base image with their owners, whoever unpacked it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from imagekit.debian.tree import DIRECTORY, FILE, LINK, Node, Tree
from imagekit.lock import tree
from imagekit.lock.outlines import Outlines
from imagekit.oci.layer import Layer

_KINDS = {"directory": DIRECTORY, "file": FILE, "link": LINK}


def image_tree(layers: Sequence[Layer], root: Path) -> Tree:
    """What the headers of `layers` say; contents are read from `root`, where they are unpacked."""
    found = tree.Tree(Outlines().of(layers))
    nodes = {
        path: Node(_KINDS[node.kind], node.mode, node.uid, node.gid, node.content)
        for path, node in found.nodes().items()
        if node.kind in _KINDS
    }
    return Tree(root, nodes)
