# SPDX-License-Identifier: Apache-2.0
"""A tree that is only thought of is the one that unpacking writes."""

from __future__ import annotations

import os
import stat
import tarfile
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit.compare.reading import lay
from imagekit.compare.tree import FileTree
from imagekit.errors import IntegrityError
from imagekit.oci.unpack import unpack
from tests.fakes.images import image_of, tar_layer

NAMES = st.sampled_from(["a", "b", "c", ".wh.a", ".wh.b", ".wh..wh..opq"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
TARGETS = st.sampled_from(["a", "b", "../a", "/b", "../../c", "a/b"])


@st.composite
def members(draw: st.DrawFn) -> tuple[tarfile.TarInfo, bytes]:
    made = tarfile.TarInfo(draw(PATHS))
    made.type = draw(st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE]))
    made.mode = 0o755 if made.isdir() else draw(st.sampled_from([0o644, 0o755]))
    made.linkname = draw(TARGETS) if made.issym() else ""
    return made, draw(st.binary(max_size=2)) if made.isreg() else b""


def written(root: Path) -> dict[str, tuple[str, str]]:
    found = {}
    for folder, directories, files in os.walk(root):
        for name in (*directories, *files):
            path = Path(folder, name)
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                said = ("link", os.readlink(path))
            elif stat.S_ISDIR(mode):
                said = ("directory", "")
            else:
                said = ("file", f"{path.stat().st_size} {mode & 0o777:o}")
            found[path.relative_to(root).as_posix()] = said
    return found


def thought(tree: FileTree) -> dict[str, tuple[str, str]]:
    told: dict[str, tuple[str, str]] = {}
    for path, entry in tree.entries():
        said = entry.content if entry.kind == "link" else ""
        if entry.kind == "file":
            said = f"{entry.size_bytes} {entry.mode:o}"
        told[path] = (entry.kind, said)
    return told


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(members(), max_size=6), min_size=1, max_size=3))
def test_layers_come_to_the_tree_that_unpacking_writes(
    layers: list[list[tuple[tarfile.TarInfo, bytes]]],
) -> None:
    """Files, folders, links and whiteouts in any order; what one refuses, the other refuses."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "root").mkdir()
        image = image_of(*(tar_layer(folder, layer) for layer in layers))
        tree = FileTree()
        try:
            unpack(image, folder / "root")
            expected = written(folder / "root")
        except IntegrityError:
            return
        lay(tree, image.layers)
        assert thought(tree) == expected
