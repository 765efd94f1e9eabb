# SPDX-License-Identifier: Apache-2.0
"""The embedded base: a root file system with Python, assembled from Debian packages.

Neither root, nor Docker, nor dpkg is needed. In the order of use: `find_mirrors`,
`resolve_base` (its result goes into the lock), `download_debs`, `unpack_tree`, `write_layer`.
"""

from imagekit.debian.assemble import download_debs, resolve_base
from imagekit.debian.base import DebianBase, DebPackage
from imagekit.debian.layer import BaseLayer, write_layer
from imagekit.debian.sources import Mirrors, find_mirrors
from imagekit.debian.store import cached_tree, interpreter_root, recipe, unpack_tree
from imagekit.debian.tree import Node, Tree

__all__ = [
    "BaseLayer",
    "DebPackage",
    "DebianBase",
    "Mirrors",
    "Node",
    "Tree",
    "cached_tree",
    "download_debs",
    "find_mirrors",
    "interpreter_root",
    "recipe",
    "resolve_base",
    "unpack_tree",
    "write_layer",
]
