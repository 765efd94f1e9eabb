# SPDX-License-Identifier: Apache-2.0
"""The local store: an OCI layout where builds land that were sent nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from imagekit.errors import BuildError
from imagekit.oci.descriptor import REFERENCE_NAME, Descriptor, Platform
from imagekit.oci.document import Document
from imagekit.oci.image import Image
from imagekit.oci.index import Named
from imagekit.oci.layer import FileLayer, PromisedLayer
from imagekit.oci.layout import LAYOUT_FILE, LayoutBlobs, read_index, write_layout
from imagekit.oci.pruning import prune_layout
from imagekit.oci.reference import DEFAULT_TAG, Reference
from imagekit.oci.selection import select_all, select_image
from imagekit.paths import data_directory
from imagekit.usage import used
from imagekit.values import frozen


@frozen
class StoredImage:
    """`last_used_ns`, since the epoch: when it was last found, or else when it was built."""

    name: str
    digest: str
    platform: Platform | None
    last_used_ns: int


class Store:
    """Safe for several processes; an image stays as it was found while others are added."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = data_directory() / "store" if directory is None else directory

    def add(self, image: Named, reference: str) -> str:
        """Keep `image` under `NAME[:TAG]`; returns `NAME:TAG@DIGEST`, by which `find` has it."""
        name = Reference.parse(reference).tagged
        write_layout(image, self._directory, name)
        return f"{name}@{image.digest}"

    def find(self, reference: str) -> Image:
        """The image of that name, or with that digest. Without a tag, the one that came last.

        Of several platforms it is this machine's.

        Raises:
            BuildError: there is none.
            IntegrityError: its documents or the sizes of its layers are not what was stored.
        """
        return select_image(LayoutBlobs(self._directory), self._found(reference), None, None)

    def find_all(self, reference: str) -> Named:
        """As `find`, with the images of all platforms."""
        return select_all(LayoutBlobs(self._directory), self._found(reference))

    def blob(self, promised: PromisedLayer) -> FileLayer | None:
        """The layer with that digest, of whatever image; None where no image here has it."""
        path = LayoutBlobs(self._directory).path(promised.digest)
        try:
            whole = path.stat().st_size == promised.size_bytes
        except FileNotFoundError:
            return None
        found = FileLayer(promised.digest, promised.diff_id, promised.size_bytes, path)
        return found if whole else None

    def _found(self, reference: str) -> Document:
        """An index of the one thing that the name stands for."""
        wanted = Reference.parse(reference)
        found = [item for item in self._descriptors() if _fits(item, wanted)]
        if not found and wanted.tag == DEFAULT_TAG and not reference.endswith(f":{DEFAULT_TAG}"):
            any_tag = replace(wanted, tag="")
            found = [item for item in self._descriptors() if _fits(item, any_tag)]
        if found:
            used(LayoutBlobs(self._directory).path(found[-1].digest))
            return Document(reference, {"manifests": [found[-1].to_json()]})
        names = [stored.name for stored in self.list()]
        raise BuildError(
            f"no image {reference!r} in the local store",
            hint=f"it has: {', '.join(names[:20])}" if names else "`imagekit build` puts one there",
        )

    def list(self) -> Sequence[StoredImage]:
        """Every name that is kept, sorted."""
        found = (self._stored(descriptor) for descriptor in self._descriptors())
        return sorted(found, key=lambda stored: stored.name)

    def remove(self, unwanted: Callable[[StoredImage], bool]) -> int:
        """Forget the images that are `unwanted`, and the blobs that no other needs.

        Returns the bytes that this gave back; see `prune_layout`.
        """
        if not (self._directory / LAYOUT_FILE).exists():
            return 0
        return prune_layout(self._directory, lambda each: unwanted(self._stored(each)))

    def _stored(self, descriptor: Descriptor) -> StoredImage:
        path = LayoutBlobs(self._directory).path(descriptor.digest)
        try:
            last_used_ns = path.stat().st_atime_ns
        except FileNotFoundError:
            last_used_ns = 0
        return StoredImage(_name(descriptor), descriptor.digest, descriptor.platform, last_used_ns)

    def _descriptors(self) -> Sequence[Descriptor]:
        if not (self._directory / LAYOUT_FILE).exists():
            return []
        index = read_index(self._directory)
        return [Descriptor.from_document(item) for item in index.objects("manifests")]


def _fits(descriptor: Descriptor, wanted: Reference) -> bool:
    if wanted.digest and wanted.digest != descriptor.digest:
        return False
    if not wanted.name:
        return True
    if not wanted.tag:
        return _name(descriptor).rpartition(":")[0] == wanted.name
    return _name(descriptor) == wanted.tagged


def _name(descriptor: Descriptor) -> str:
    return descriptor.annotations.get(REFERENCE_NAME, "")
