# SPDX-License-Identifier: Apache-2.0
"""The tree that is read from outlines of layers is the one that unpacking them makes."""

from __future__ import annotations

import os
import tarfile
import tempfile
from pathlib import Path

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from imagekit.errors import ImagekitError
from imagekit.lock.outline import Entry, read_outline
from imagekit.lock.tree import Tree
from imagekit.oci.compression import uncompressed
from imagekit.oci.layer import FileLayer
from imagekit.oci.unpack import unpack
from tests.fakes.images import image_of, tar_layer

NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
TARGETS = st.one_of(PATHS, PATHS.map("/{}".format), PATHS.map("../{}".format))


def member(path: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.type, info.linkname, info.mode = kind, target, 0o755
    return info


MEMBERS = st.one_of(
    st.builds(member, PATHS, st.sampled_from([tarfile.DIRTYPE, tarfile.REGTYPE])),
    st.builds(member, PATHS, st.just(tarfile.SYMTYPE), TARGETS),
    st.builds(member, PATHS.map(lambda path: f"{path}/.wh..wh..opq"), st.just(tarfile.REGTYPE)),
    st.builds(
        lambda path: member("/".join([*path[:-1], f".wh.{path[-1]}"]), tarfile.REGTYPE),
        st.lists(NAMES, min_size=1, max_size=3),
    ),
)


def kinds(root: Path) -> dict[str, str]:
    found = {}
    for folder, names, files in os.walk(root):
        for name in (*names, *files):
            path = Path(folder, name)
            kind = "link" if path.is_symlink() else "directory" if path.is_dir() else "file"
            found[str(path.relative_to(root))] = kind
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(MEMBERS, min_size=1, max_size=6), min_size=1, max_size=3))
def test_a_base_read_is_a_base_unpacked(stack: list[list[tarfile.TarInfo]]) -> None:
    """Kind by kind, for any stack that can be unpacked."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "root")
        root.mkdir()
        layers = [tar_layer(Path(folder), [(each, b"") for each in part]) for part in stack]
        try:
            unpack(image_of(*layers), root)
        except ImagekitError:
            assume(False)
        found = Tree(map(outline, layers)).nodes()
        assert {path: node.kind for path, node in found.items()} == kinds(root)


def outline(layer: FileLayer) -> list[Entry]:
    with uncompressed(layer, 1 << 30) as tar:
        return [*read_outline(tar)]
