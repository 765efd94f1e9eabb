# SPDX-License-Identifier: Apache-2.0
"""A layer: a compressed tar that is stored somewhere."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Protocol

from imagekit.values import frozen

GZIP_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


class Layer(Protocol):
    """What is known of a layer without reading it, and its bytes when they are wanted."""

    @property
    def digest(self) -> str:
        """Digest of the compressed bytes."""

    @property
    def diff_id(self) -> str:
        """Digest of the uncompressed tar."""

    @property
    def size_bytes(self) -> int:
        """Length of the compressed bytes."""

    @property
    def media_type(self) -> str: ...

    def open(self) -> BinaryIO:
        """Open the compressed bytes; the caller closes the stream. May be called often."""


@frozen
class PromisedLayer:
    """What a layer is said to be, whether or not it is here; its bytes have to keep that."""

    digest: str
    diff_id: str
    size_bytes: int

    def kept_by(self, layer: Layer) -> bool:
        found = (layer.digest, layer.diff_id, layer.size_bytes)
        return found == (self.digest, self.diff_id, self.size_bytes)


@frozen
class FileLayer:
    """A layer that lies in one file (cache, store, OCI layout)."""

    digest: str
    diff_id: str
    size_bytes: int
    path: Path
    media_type: str = GZIP_LAYER

    def open(self) -> BinaryIO:
        return self.path.open("rb")
