# SPDX-License-Identifier: Apache-2.0
"""Takes images out of an OCI layout, and with them the blobs that no other image needs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from imagekit.files import replacing
from imagekit.oci.blobs import read_json
from imagekit.oci.descriptor import Descriptor
from imagekit.oci.document import Document, encode
from imagekit.oci.layout import INDEX_FILE, LayoutBlobs, locked, read_index


def prune_layout(directory: Path, unwanted: Callable[[Descriptor], bool]) -> int:
    """Remove the entries of the index that are `unwanted`, and every blob that no entry reaches.

    Returns the bytes that this gave back. The index goes first, so a killed call leaves blobs
    too many and never one too few. Writers wait; nobody may be reading what is unwanted.

    Raises:
        IntegrityError: an entry that stays can't be read, so what it needs is not known; then no
            blob is removed.
    """
    with locked(directory):
        index = read_index(directory)
        described = [(item, Descriptor.from_document(item)) for item in index.objects("manifests")]
        kept = [(item, descriptor) for item, descriptor in described if not unwanted(descriptor)]
        blobs = LayoutBlobs(directory)
        needed: set[str] = set()
        for _, descriptor in kept:
            _reach(blobs, descriptor, needed)
        if len(kept) < len(described):
            members = {**index.members, "manifests": [item.members for item, _ in kept]}
            with replacing(directory / INDEX_FILE) as stream:
                stream.write(encode(members))
        return _remove_others(directory / "blobs" / "sha256", needed)


def _reach(blobs: LayoutBlobs, descriptor: Descriptor, needed: set[str]) -> None:
    """Add what `descriptor` leads to: an index its manifests, a manifest its config and layers."""
    if descriptor.digest in needed:
        return
    needed.add(descriptor.digest)
    _, document = read_json(blobs, descriptor, "manifest")
    for inner in document.objects("manifests"):
        _reach(blobs, Descriptor.from_document(inner), needed)
    for leaf in (*_config(document), *document.objects("layers")):
        needed.add(Descriptor.from_document(leaf).digest)


def _config(manifest: Document) -> list[Document]:
    config = manifest.object("config")
    return [config] if config.members else []


def _remove_others(folder: Path, needed: set[str]) -> int:
    freed_bytes = 0
    for entry in os.scandir(folder):
        if f"sha256:{entry.name}" not in needed and entry.is_file(follow_symlinks=False):
            status = entry.stat(follow_symlinks=False)
            freed_bytes += status.st_size if status.st_nlink == 1 else 0
            os.unlink(entry.path)
    return freed_bytes
