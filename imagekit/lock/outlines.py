# SPDX-License-Identifier: Apache-2.0
"""What layers of bases say, kept by their digests: a layer is read once, whichever bases have it.

A record is written after the layer was read to its end and both of its digests were proved, so
what is known of a layer is true of its bytes.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import final

from imagekit.errors import IntegrityError
from imagekit.files import exclusive, replacing
from imagekit.layers.cache import LayerCache
from imagekit.lock.outline import FORMAT, Entry, decoded, encoded, read_outline
from imagekit.oci.compression import uncompressed
from imagekit.oci.digest import hexadecimal
from imagekit.oci.layer import Layer, PromisedLayer
from imagekit.oci.store import Store
from imagekit.paths import cache_directory
from imagekit.usage import used

_READERS = 4
_LAYER_LIMIT_BYTES = 64 << 30
_EMPTY = (
    "sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4",
    "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef",
)
"""Digest and diff_id of the empty layer that old images have for each line of their history."""
_BROKEN = (OSError, EOFError, zlib.error, ValueError, TypeError)


@final
class Outlines:
    """Safe for several processes: of those that want one layer, one reads it."""

    def __init__(self, root: Path | None = None) -> None:
        self._root = cache_directory() / "outlines" if root is None else root

    def of(self, layers: Sequence[Layer]) -> Iterator[Sequence[Entry]]:
        """What each layer says, base first; those that nobody read before are read first.

        Raises:
            IntegrityError: a layer is damaged or hostile.
            RegistryError: it can't be fetched.
        """
        layers = [layer for layer in layers if (layer.digest, layer.diff_id) != _EMPTY]
        unknown = {layer.digest: layer for layer in layers if not used(self._path(layer))}
        if unknown:
            with ThreadPoolExecutor(_READERS) as pool:
                list(pool.map(self._make, unknown.values()))
        for layer in layers:
            found = self._find(layer)
            if found is None:
                self._make(layer, again=True)
                found = self._find(layer)
            if found is None:
                raise IntegrityError(f"{self._path(layer)}: what was written there can't be read")
            yield found

    def _make(self, layer: Layer, *, again: bool = False) -> None:
        with exclusive(self._root / "locks" / hexadecimal(layer.digest)):
            if again or not used(self._path(layer)):
                self._write_from_nearest(layer)

    def _write_from_nearest(self, layer: Layer) -> None:
        promised = PromisedLayer(layer.digest, layer.diff_id, layer.size_bytes)
        for place in (LayerCache(), Store()):
            here = place.blob(promised)
            if here is not None:
                try:
                    return self._write(here)
                except (OSError, IntegrityError):  # damaged, or collected meanwhile
                    continue
        return self._write(layer)

    def _write(self, layer: Layer) -> None:
        with (
            replacing(self._path(layer)) as stream,
            gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=1, filename="", mtime=0) as file,
            uncompressed(layer, _LAYER_LIMIT_BYTES) as tar,
        ):
            file.write(_head(layer))
            for line in encoded(read_outline(tar)):
                file.write(line)

    def _find(self, layer: Layer) -> Sequence[Entry] | None:
        """A record that does not read is no record."""
        try:
            with gzip.open(self._path(layer)) as lines:
                return [*decoded(lines)] if lines.readline() == _head(layer) else None
        except _BROKEN:
            return None

    def _path(self, layer: Layer) -> Path:
        return self._root / "sha256" / hexadecimal(layer.digest)


def _head(layer: Layer) -> bytes:
    return json.dumps([FORMAT, layer.digest, layer.diff_id]).encode() + b"\n"
