# SPDX-License-Identifier: Apache-2.0
"""Pushes images: layers as soon as they are there, side by side, and manifests last.

So a repository never names what it lacks. What it has already is not sent, and where a manifest of
it names a layer, it is not even asked.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait

from imagekit.errors import BuildError, IntegrityError, RegistryError
from imagekit.oci import media_types
from imagekit.oci.blobs import BlobLayer
from imagekit.oci.descriptor import Descriptor
from imagekit.oci.image import Image
from imagekit.oci.index import ImageIndex, Named, images_of
from imagekit.oci.layer import Layer
from imagekit.oci.lazy import LazyLayer
from imagekit.progress import Progress
from imagekit.registry.blobs import RegistryBlobs
from imagekit.registry.connection import Connection
from imagekit.registry.manifests import find_manifest, put_manifest
from imagekit.registry.placing import Outcome, place
from imagekit.registry.reference import RegistryReference, check_repository
from imagekit.registry.upload import PART_BYTES, Blob, StoppedError, Target
from imagekit.values import frozen

_WORKERS = 8
_CHILDREN = 8
_BLOB_MISSING = frozenset({"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN"})


@frozen
class PushReport:
    """What a push came to: digests of blobs by what was done, and all bytes of bodies sent."""

    reference: RegistryReference
    uploaded: tuple[str, ...]
    mounted: tuple[str, ...]
    present: tuple[str, ...]
    sent_bytes: int


class Uploader(contextlib.AbstractContextManager["Uploader"]):
    """Fills one repository. A context manager; leaving it by an error stops what is under way.

    Any thread may call `push_layer`, also while the rest of the image is still made.
    """

    def __init__(
        self,
        connection: Connection,
        reference: RegistryReference,
        progress: Progress,
        *,
        siblings: Sequence[str] = (),
        part_bytes: int = PART_BYTES,
    ) -> None:
        """Begin.

        Args:
            connection: to the registry of `reference`.
            reference: the repository, and the tag that images get.
            progress: shows each blob that is sent.
            siblings: tags or digests in the same repository whose layers need not be asked after,
                where there is nothing under `reference` yet.
            part_bytes: larger blobs are sent in parts of that size.
        """
        self._reference = reference
        self._sent = _Counter()
        self._target = Target(
            connection, reference.repository, progress, self._sent.add, part_bytes
        )
        self._lock = threading.Lock()
        self._placed: dict[str, Future[Outcome]] = {}
        self._assumed: dict[str, Blob] = {}
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="push")
        # Work is taken up in order: whoever waits for this, waits for something under way.
        self._before = self._pool.submit(self._look, siblings)

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is not None:
            self._target.stopped.set()
        self._pool.shutdown(cancel_futures=kind is not None)

    def push_layer(self, layer: Layer, mount_from: str = "") -> Future[Outcome]:
        """Begin to bring a layer into the repository; asked again, it is the same future.

        Args:
            layer: one that was pulled from the same registry is mounted from where it was.
            mount_from: a repository of the same registry that has it.
        """
        mount_from = mount_from or self._neighbour(layer)
        if mount_from:
            check_repository(mount_from)
        return self._push(Blob(layer.digest, layer.size_bytes, layer.open), mount_from)

    def push_image(self, image: Named, *, tags: Sequence[str] = ()) -> PushReport:
        """Push what is left of an image, then its manifest, under the reference and `tags`.

        Of several platforms each one's manifest goes first, and the index last.

        Raises:
            RegistryError: the registry refuses, or can't be reached.
            IntegrityError: a layer is not what it was.
        """
        images = images_of(image)
        parts = [_Document(each.descriptor, each.manifest_bytes) for each in images]
        if isinstance(image, ImageIndex):
            return self._finish(images, parts, _Document(image.descriptor, image.data), tags)
        return self._finish(images, [], parts[0], tags)

    def _finish(
        self,
        images: Sequence[Image],
        parts: Sequence[_Document],
        top: _Document,
        tags: Sequence[str],
    ) -> PushReport:
        digest = top.descriptor.digest
        names = self._names(digest, tags)
        there = self._before.result().manifests
        if digest not in there.values():
            self._wait([self._begin(image) for image in images])
            for part in parts:
                self._put(self._reference.at(part.descriptor.digest), part)
        for name in names:
            if there.get(str(name)) != digest:
                self._put(name, top)
        return self._report(images, digest)

    def _names(self, digest: str, tags: Sequence[str]) -> list[RegistryReference]:
        """Under which the manifest is to be found; each may stand in there only once."""
        if self._reference.digest not in ("", digest):
            raise BuildError(
                f"pushing {self._reference}: the image is {digest}",
                hint="push by a tag, or the image that the digest names",
            )
        prefix = f"{self._reference.host}/{self._reference.repository}:"
        wanted = [self._reference.tag, *tags]
        tagged = [RegistryReference.parse(prefix + tag) for tag in dict.fromkeys(wanted) if tag]
        return tagged or [self._reference.at(digest)]

    def _begin(self, image: Image) -> list[Future[Outcome]]:
        futures = [self.push_layer(layer) for layer in image.layers]
        return [*futures, self._push(_config(image), "")]

    def _neighbour(self, layer: Layer) -> str:
        """The repository of this registry that a layer was pulled from, if it was."""
        source = layer.source if isinstance(layer, BlobLayer | LazyLayer) else None
        if isinstance(source, RegistryBlobs) and source.host == self._reference.host:
            return source.repository
        return ""

    def _push(self, blob: Blob, mount_from: str) -> Future[Outcome]:
        with self._lock:
            if blob.digest not in self._placed:
                self._placed[blob.digest] = self._pool.submit(self._place, blob, mount_from)
            return self._placed[blob.digest]

    def _place(self, blob: Blob, mount_from: str) -> Outcome:
        if self._target.stopped.is_set():
            raise StoppedError
        places, repository = self._target.connection.places, self._reference.repository
        with places.alone(blob.digest):
            seen = places.has(blob.digest, repository) or mount_from == repository
            if seen or blob.digest in self._before.result().blobs:
                with self._lock:
                    self._assumed[blob.digest] = blob
                outcome: Outcome = "present"
            else:
                outcome = place(
                    self._target, blob, mount_from or places.near(blob.digest, repository)
                )
            places.add(blob.digest, repository)
        return outcome

    def _look(self, siblings: Sequence[str]) -> _Known:
        prefix = f"{self._reference.host}/{self._reference.repository}"
        wanted = [f"{prefix}{'@' if ':' in name else ':'}{name}" for name in siblings]
        known = _Known({}, set())
        self._look_at(self._reference, known)
        if not known.manifests:
            for reference in dict.fromkeys(map(RegistryReference.parse, wanted)):
                self._look_at(reference, known)
        return known

    def _look_at(self, reference: RegistryReference, known: _Known) -> None:
        """What can't be read or understood is left out: it only means more to ask and send."""
        try:
            found = find_manifest(self._target.connection, reference, self._target.rights)
            named = [] if found is None else found.names
        except IntegrityError:
            return
        except RegistryError as error:
            if error.status is None:
                raise
            return
        if found is None:
            return
        known.manifests[str(reference)] = found.descriptor.digest
        if not found.is_index:
            known.blobs.update(item.digest for item in named)
            return
        for child in named[:_CHILDREN]:
            if child.media_type in media_types.MANIFESTS:
                self._look_at(reference.at(child.digest), known)

    def _put(self, name: RegistryReference, document: _Document) -> None:
        try:
            self._put_once(name, document)
        except RegistryError as error:
            if error.code not in _BLOB_MISSING or not self._assumed:
                raise
            # The registry has lost layers of a manifest that it still has.
            blobs, self._assumed = list(self._assumed.values()), {}
            again = [self._pool.submit(place, self._target, blob) for blob in blobs]
            self._placed.update(zip((blob.digest for blob in blobs), again, strict=True))
            self._wait([again])
            self._put_once(name, document)

    def _put_once(self, name: RegistryReference, document: _Document) -> None:
        self._sent.add(len(document.data))
        put_manifest(self._target.connection, name, document.descriptor, document.data)

    def _wait(self, groups: Iterable[Iterable[Future[Outcome]]]) -> None:
        futures = [future for group in groups for future in group]
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        failures = [error for future in done if (error := future.exception()) is not None]
        if failures:
            self._target.stopped.set()
            raise next((e for e in failures if not isinstance(e, StoppedError)), failures[0])

    def _report(self, images: Sequence[Image], digest: str) -> PushReport:
        outcomes: dict[str, Outcome] = {}
        for image in images:
            for blob in (*(layer.digest for layer in image.layers), image.config_digest):
                future = self._placed.get(blob)
                outcomes[blob] = "present" if future is None else future.result()
        uploaded, mounted, present = (
            tuple(blob for blob, outcome in outcomes.items() if outcome == wanted)
            for wanted in ("uploaded", "mounted", "present")
        )
        reference = dataclasses.replace(self._reference, digest=digest)
        return PushReport(reference, uploaded, mounted, present, self._sent.total_bytes)


def _config(image: Image) -> Blob:
    data = image.config_bytes
    return Blob(image.config_digest, len(data), lambda: io.BytesIO(data))


@frozen
class _Document:
    descriptor: Descriptor
    data: bytes


@frozen
class _Known:
    """What the repository has: digests of manifests by reference, and the blobs they name."""

    manifests: dict[str, str]
    blobs: set[str]


class _Counter:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.total_bytes = 0

    def add(self, count: int) -> None:
        with self._lock:
            self.total_bytes += count
