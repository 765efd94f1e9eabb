# SPDX-License-Identifier: Apache-2.0
"""Layers by recipe: what was made once on this machine is not made again.

A recipe is a text that names everything that a layer's bytes depend on. Blobs are stored by
digest; a recipe's entry is written after its blob, so a process killed at any moment leaves
either a whole layer or none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from imagekit.files import exclusive, replacing
from imagekit.layers.formats import COMPRESSOR
from imagekit.oci.digest import check, hexadecimal
from imagekit.oci.layer import FileLayer, PromisedLayer
from imagekit.paths import cache_directory
from imagekit.usage import used

if TYPE_CHECKING:
    from imagekit.layers.writer import LayerWriter

_LAYER_LIMIT_BYTES = 64 << 30


def recipe_key(recipe: str) -> str:
    """What a recipe is known by here and in locks: a digest of it and of the compressor."""
    return hashlib.sha256(f"{COMPRESSOR}\n{recipe}".encode()).hexdigest()


class LayerCache:
    def __init__(self, root: Path | None = None) -> None:
        self.root = cache_directory() / "layers" if root is None else root

    def find(self, recipe: str) -> FileLayer | None:
        """The layer that this recipe made, or None; an entry that does not read is no entry."""
        try:
            entry = json.loads(self._entry(recipe).read_bytes())
            path = self._blob(check(entry["digest"]))
            layer = FileLayer(entry["digest"], check(entry["diff_id"]), entry["size"], path)
            whole = used(path) and path.stat().st_size == layer.size_bytes
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return layer if whole else None

    def make(
        self,
        recipe: str,
        write: Callable[[LayerWriter], None],
        also: Callable[[], str] | None = None,
    ) -> FileLayer:
        """The layer of `recipe`, made by `write` unless it is here.

        `also` finds another recipe of the same layer, and is called where the first is not known.
        Of several processes that ask for one recipe, one makes it and the others wait.
        """
        if layer := self.find(recipe):
            return layer
        with exclusive(self.root / "locks" / recipe_key(recipe)):
            if layer := self.find(recipe):
                return layer
            other = recipe if also is None else also()
            if other == recipe:
                return self._make(recipe, write)
            layer = self.make(other, write)
            self._remember(recipe, layer)
            return layer

    def blob(self, promised: PromisedLayer) -> FileLayer | None:
        """The layer with that digest, whoever made it; nothing is said of any recipe."""
        path = self._blob(promised.digest)
        if not used(path) or path.stat().st_size != promised.size_bytes:
            return None
        return FileLayer(promised.digest, promised.diff_id, promised.size_bytes, path)

    def keep(self, promised: PromisedLayer, stream: BinaryIO) -> FileLayer:
        """Keep what comes from elsewhere; IntegrityError where it is not what was promised."""
        # Looking layers up needs no decompressor.
        from imagekit.oci.compression import uncompressed  # noqa: PLC0415

        layer = FileLayer(promised.digest, promised.diff_id, promised.size_bytes, Path())
        path = self._blob(promised.digest)
        with replacing(path, mode=0o444) as target:
            while chunk := stream.read(1 << 20):
                target.write(chunk)
            target.flush()
            with uncompressed(replace(layer, path=Path(target.name)), _LAYER_LIMIT_BYTES):
                pass  # leaving the block proves both digests
        return replace(layer, path=path)

    def _make(self, recipe: str, write: Callable[[LayerWriter], None]) -> FileLayer:
        temporary = self.root / "building" / recipe_key(recipe)
        with replacing(temporary, mode=0o444) as stream:
            # Looking a layer up needs no compressor.
            from imagekit.layers.writer import LayerWriter  # noqa: PLC0415

            writer = LayerWriter(stream)
            write(writer)
            written = writer.finish()
        blob = self._blob(written.digest)
        blob.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(blob)
        layer = FileLayer(written.digest, written.diff_id, written.size_bytes, blob)
        self._remember(recipe, layer)
        return layer

    def _remember(self, recipe: str, layer: FileLayer) -> None:
        entry = {
            "digest": layer.digest,
            "diff_id": layer.diff_id,
            "size": layer.size_bytes,
            "recipe": recipe,
        }
        with replacing(self._entry(recipe)) as stream:
            stream.write(json.dumps(entry, sort_keys=True).encode())

    def _entry(self, recipe: str) -> Path:
        return self.root / "recipes" / f"{recipe_key(recipe)}.json"

    def _blob(self, digest: str) -> Path:
        return self.root / "blobs" / "sha256" / hexadecimal(digest)
