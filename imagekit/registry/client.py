# SPDX-License-Identifier: Apache-2.0
"""The way in: one client per process, which keeps connections and tokens of every registry.

client = RegistryClient()
image = client.pull(RegistryReference.parse("localhost:5000/base:1"))
report = client.push(image, RegistryReference.parse("localhost:5000/team/base:1"))
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence

from imagekit.errors import BuildError
from imagekit.oci.descriptor import Platform
from imagekit.oci.document import Document
from imagekit.oci.image import Image
from imagekit.oci.index import Named
from imagekit.oci.selection import select_all, select_image
from imagekit.paths import cache_directory
from imagekit.progress import Progress, Silent
from imagekit.registry.access import Access
from imagekit.registry.blobs import RegistryBlobs
from imagekit.registry.connection import Connection, Sender
from imagekit.registry.manifests import Manifest, find_manifest, manifest_digest
from imagekit.registry.push import PushReport, Uploader
from imagekit.registry.reference import RegistryReference


@functools.cache
def shared_client() -> RegistryClient:
    """The process's own client, with the user's configuration."""
    return RegistryClient()


class RegistryClient:
    """Any thread may use it. Nothing is sent, and no HTTP library loaded, before it is asked."""

    def __init__(self, access: Access | None = None, progress: Progress | None = None) -> None:
        self._access = access or Access(hints=cache_directory() / "pushed")
        self._progress = progress or Silent()
        self._lock = threading.RLock()
        self._connections: dict[str, Connection] = {}
        self._transport: Sender | None = None

    def manifest_digest(self, reference: RegistryReference) -> str | None:
        """The digest of what a reference names; None where the registry said that it has none.

        Raises RegistryError where that could not be found out.
        """
        return manifest_digest(self._connection(reference), reference)

    def find_manifest(self, reference: RegistryReference) -> Manifest | None:
        """The manifest or index itself, checked; None where the registry said that it has none."""
        return find_manifest(self._connection(reference), reference)

    def blob_size(self, reference: RegistryReference, digest: str) -> int | None:
        """The length of a blob of that repository; None where the registry said 404."""
        return self.blobs(reference).ask_size(digest)

    def neighbour(self, reference: RegistryReference, digest: str) -> RegistryReference | None:
        """Another repository of the same registry that a blob was pushed to before, if any."""
        near = self._connection(reference).places.near(digest, reference.repository)
        return RegistryReference(reference.host, near) if near else None

    def blobs(self, reference: RegistryReference) -> RegistryBlobs:
        """The blobs of that repository, as a BlobSource."""
        return RegistryBlobs(self._connection(reference), reference, self._progress)

    def pull(
        self,
        reference: RegistryReference,
        platform: Platform | None = None,
        progress: Progress | None = None,
    ) -> Image:
        """The image that a reference names; of several platforms, `platform`'s or this machine's.

        Its manifest and config are read now, a layer whenever it is opened. That is told to
        `progress`, or else to the client's own.

        Raises:
            BuildError: there is no such image.
            IntegrityError: it is not what it says it is.
            RegistryError: the registry refuses, or can't be reached.
        """
        return select_image(*self._found(reference, progress), None, platform)

    def pull_all(self, reference: RegistryReference) -> Named:
        """As `pull`, with the images of all platforms."""
        return select_all(*self._found(reference))

    def _found(
        self, reference: RegistryReference, progress: Progress | None = None
    ) -> tuple[RegistryBlobs, Document]:
        """What a reference names, as an index of that one thing, and where its blobs are."""
        manifest = self.find_manifest(reference)
        if manifest is None:
            raise BuildError(
                f"{reference}: the registry has no such image",
                hint="is it spelled right, and are you logged in?",
            )
        connection = self._connection(reference)
        source = RegistryBlobs(connection, reference, progress or self._progress)
        source.add(manifest)
        return source, Document(str(reference), {"manifests": [manifest.descriptor.to_json()]})

    def uploader(self, reference: RegistryReference, *, siblings: Sequence[str] = ()) -> Uploader:
        """For pushing while an image is still made; see there."""
        connection = self._connection(reference)
        return Uploader(connection, reference, self._progress, siblings=siblings)

    def push(
        self,
        image: Named,
        reference: RegistryReference,
        *,
        tags: Sequence[str] = (),
        siblings: Sequence[str] = (),
    ) -> PushReport:
        """Push a whole image, or those of several platforms; see `Uploader.push_image`."""
        with self.uploader(reference, siblings=siblings) as uploader:
            return uploader.push_image(image, tags=tags)

    def may_be_missing(self, reference: RegistryReference, *, missing: bool = True) -> None:
        """Give that registry up after one try, as long as it has answered nothing."""
        self._connection(reference).dispensable = missing

    def close(self) -> None:
        """Close the connections that are kept open for the next request."""
        with self._lock:
            if self._transport is not None:
                self._transport.close()

    def _connection(self, reference: RegistryReference) -> Connection:
        with self._lock:
            if reference.host not in self._connections:
                made = Connection(reference.host, self._access, self._sender)
                self._connections[reference.host] = made
            return self._connections[reference.host]

    def _sender(self) -> Sender:
        with self._lock:
            if self._transport is None:
                from imagekit.registry.transport import Transport  # noqa: PLC0415 - see there

                self._transport = Transport(self._access)
            return self._transport
