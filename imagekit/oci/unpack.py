# SPDX-License-Identifier: Apache-2.0
"""Unpacks images to root file systems, as root or as anybody, trusting nothing in their layers.

Whiteouts follow image-spec, layer.md. Devices, FIFOs and extended attributes are left out. Owners
are set by root only; without root, set-user-ID bits are dropped, as they would mean somebody else.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from imagekit.errors import BuildError, IntegrityError
from imagekit.oci.compression import uncompressed
from imagekit.oci.image import Image
from imagekit.oci.layer import Layer
from imagekit.oci.layer_tree import LayerTree, Metadata, checked_name, clean_parts, encoded
from imagekit.oci.scratch import scratch_directory
from imagekit.oci.tarstream import members
from imagekit.usage import used
from imagekit.values import frozen

_WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"
_HOSTILE = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EINVAL)


@frozen
class Limits:
    """Beyond these an image is taken for a bomb. Bytes are those of each layer's tar."""

    layer_bytes: int = 256 << 30
    members: int = 10_000_000


DEFAULT_LIMITS = Limits()


Wanted = Callable[[Sequence[bytes]], bool]
"""Says of the names in a member's path whether it is unpacked."""


def unpack(
    image: Image,
    directory: Path,
    limits: Limits = DEFAULT_LIMITS,
    *,
    wanted: Wanted = lambda _: True,
) -> None:
    """Lay the layers of `image` over each other in `directory`, which is empty.

    Folders are made where something wanted lies in them.

    Raises:
        IntegrityError: a layer is hostile or not what was promised; the folder is then garbage.
        BuildError: it can't be written.
    """
    with contextlib.closing(LayerTree(directory, owned=os.geteuid() == 0)) as tree:
        left = limits.members
        for layer in image.layers:
            with _clear_errors(layer):
                left = _apply(layer, tree, limits.layer_bytes, left, wanted)
        tree.finish()


def cached_root(image: Image, cache: Path, limits: Limits = DEFAULT_LIMITS) -> Path:
    """The root file system of `image` in the folder `cache`, unpacked unless it is there.

    Never written to afterwards. Two at once both get a whole one.
    """
    if root := kept_root(image, cache):
        return root
    root = _place(image, cache) / "root"
    with scratch_directory(cache) as work:
        (work / "root").mkdir()
        (work / "root").chmod(0o755)
        unpack(image, work / "root", limits)
        try:
            work.rename(root.parent)
        except OSError:
            if not root.is_dir():
                raise
    return root


def kept_root(image: Image, cache: Path) -> Path | None:
    """What `cached_root` made before; None where it would have to unpack."""
    place = _place(image, cache)
    return place / "root" if used(place) else None


def _place(image: Image, cache: Path) -> Path:
    kind = "root" if os.geteuid() == 0 else "user"
    return cache / f"{chain_id(image).removeprefix('sha256:')}-{kind}"


def chain_id(image: Image) -> str:
    """Names the root file system: image-spec, config.md, "Layer ChainID"."""
    chain = ""
    for layer in image.layers:
        text = f"{chain} {layer.diff_id}" if chain else layer.diff_id
        chain = "sha256:" + hashlib.sha256(text.encode()).hexdigest() if chain else text
    return chain or "sha256:" + hashlib.sha256(b"").hexdigest()


def _apply(
    layer: Layer, tree: LayerTree, limit_bytes: int, limit_members: int, wanted: Wanted
) -> int:
    """Returns how many more members are allowed."""
    tree.begin_layer()
    size_bytes = 0
    with uncompressed(layer, limit_bytes) as tar:
        for member, content in members(tar):
            limit_members -= 1
            # A sparse file is larger than its part of the tar.
            size_bytes += member.size
            if size_bytes > limit_bytes or limit_members < 0:
                raise IntegrityError("more than the limit for unpacking")
            parts = clean_parts(member.name)
            if not parts or parts[-1].startswith(_WHITEOUT) or wanted(parts):
                _add(tree, parts, member, content)
    return limit_members


def _add(
    tree: LayerTree, parts: list[bytes], member: tarfile.TarInfo, content: BinaryIO | None
) -> None:
    if member.isdir() or not parts:
        tree.directory(parts, Metadata.of(member))
    elif parts[-1].startswith(_WHITEOUT):
        _white_out(tree, parts)
    elif content is not None:
        tree.file(parts, content, Metadata.of(member))
    elif member.issym():
        tree.symlink(parts, encoded(member.linkname), Metadata.of(member))
    elif member.islnk():
        tree.hard_link(parts, clean_parts(member.linkname))
    else:
        tree.remove(parts)


def _white_out(tree: LayerTree, parts: Sequence[bytes]) -> None:
    *folder, name = parts
    hidden = name.removeprefix(_WHITEOUT)
    if name == _OPAQUE:
        tree.clear(folder)
    elif not hidden.startswith(_WHITEOUT):  # else it is housekeeping of an old union file system
        tree.white_out([*folder, checked_name(hidden)])


@contextlib.contextmanager
def _clear_errors(layer: Layer) -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise IntegrityError(f"unpacking layer {layer.digest}: {error.message}") from error
    except OSError as error:
        what = f"unpacking layer {layer.digest}: {error.strerror or error}"
        if error.errno in _HOSTILE:
            raise IntegrityError(what) from error
        raise BuildError(what) from error
