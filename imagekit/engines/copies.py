# SPDX-License-Identifier: Apache-2.0
"""What stands in for mounts where nothing can be mounted: copies in, and copies back."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from imagekit.engines.model import Mount
from imagekit.errors import EngineError
from imagekit.oci.layer_tree import clean_parts
from imagekit.oci.scoped import ScopedRoot


@contextlib.contextmanager
def instead_of_mounts(root: Path, mounts: Sequence[Mount]) -> Iterator[None]:
    """Copy each folder into the image's `root`, and after the block, the writable ones back."""
    for mount in mounts:
        _copy(mount.source, _inside(root, mount.target))
    yield
    for mount in mounts:
        if not mount.read_only:
            _copy(_inside(root, mount.target), mount.source)


def _inside(root: Path, target: str) -> Path:
    """The real place of `target` in `root`; the image's links are followed inside it only."""
    with contextlib.closing(ScopedRoot(root)) as scoped:
        folder = scoped.open(clean_parts(target), make=True)
        if folder is None:
            raise EngineError(f"nothing can be mounted at {target!r} in the image")
        os.close(folder.descriptor)
        return root / os.fsdecode(folder.path)


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
