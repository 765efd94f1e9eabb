# SPDX-License-Identifier: Apache-2.0
"""Layers that are known before they are here."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import BinaryIO, final

from imagekit.oci.blobs import BlobSource
from imagekit.oci.layer import GZIP_LAYER, FileLayer, PromisedLayer


@final
class LazyLayer:
    """A layer whose file is fetched or made when its bytes are first wanted. Threads may share it.

    `source` is where a registry is said to have it, if one is; nothing of it was asked yet.
    """

    media_type = GZIP_LAYER

    def __init__(
        self,
        promised: PromisedLayer,
        realize: Callable[[], FileLayer],
        source: BlobSource | None = None,
    ) -> None:
        self.digest = promised.digest
        self.diff_id = promised.diff_id
        self.size_bytes = promised.size_bytes
        self.source = source
        self._realize = realize
        self._guard = threading.Lock()
        self._file: FileLayer | None = None

    def file(self) -> FileLayer:
        """The layer on this machine's disk; may take long, and raise whatever making it raises."""
        with self._guard:
            if self._file is None:
                self._file = self._realize()
            return self._file

    def open(self) -> BinaryIO:
        return self.file().open()
