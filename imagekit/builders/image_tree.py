# SPDX-License-Identifier: Apache-2.0
"""The files of a base image with their owners, whoever unpacked it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from imagekit.debian.tree import DIRECTORY, FILE, LINK, Node, Tree
from imagekit.lock import tree
from imagekit.oci.compression import uncompressed
from imagekit.oci.layer import Layer

_KINDS = {"folder": DIRECTORY, "file": FILE, "link": LINK}
_LAYER_LIMIT_BYTES = 64 << 30


def image_tree(layers: Sequence[Layer], root: Path) -> Tree:
    """What the headers of `layers` say; contents are read from `root`, where they are unpacked."""
    found = tree.Tree({})
    for layer in layers:
        with uncompressed(layer, _LAYER_LIMIT_BYTES) as stream:
            found.add(stream)
    nodes = {
        path: Node(_KINDS[node.kind], node.mode, node.uid, node.gid, node.target)
        for path, node in found.nodes().items()
    }
    return Tree(root, nodes)
