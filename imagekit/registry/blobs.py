# SPDX-License-Identifier: Apache-2.0
"""The blobs of one repository, read only when they are opened."""

from __future__ import annotations

import dataclasses
import io
import threading
from collections.abc import Generator, Iterator
from typing import Any, BinaryIO, cast

from imagekit import interrupts
from imagekit.errors import IntegrityError, RegistryError
from imagekit.oci import media_types
from imagekit.oci.descriptor import Descriptor
from imagekit.progress import Progress, Task
from imagekit.registry.auth import Rights
from imagekit.registry.connection import Call, Connection
from imagekit.registry.errors import Subject, TransientError
from imagekit.registry.exchange import Response, number
from imagekit.registry.manifests import Manifest, find_manifest
from imagekit.registry.reference import RegistryReference

_DOCUMENTS = 64
_RESTARTS = 20
_BUFFER_BYTES = 1 << 18


class RegistryBlobs:
    """A BlobSource. What a manifest of the repository names is there until opening it fails.

    A registry takes no manifest whose blobs it lacks, so the layers of an image are not asked
    after one by one. Nothing is believed: readers check sizes and digests. Any thread may use it.
    """

    def __init__(
        self, connection: Connection, reference: RegistryReference, progress: Progress
    ) -> None:
        self.host = reference.host
        self.repository = reference.repository
        self._connection = connection
        self._reference = reference
        self._progress = progress
        self._lock = threading.Lock()
        self._named: dict[str, Descriptor] = {}
        self._manifests: dict[str, Manifest] = {}

    def add(self, manifest: Manifest) -> None:
        """Take in a manifest of this repository, and what it names.

        Raises IntegrityError for more of them than one image can need.
        """
        named = manifest.names
        with self._lock:
            if len(self._manifests) >= _DOCUMENTS:
                raise IntegrityError(f"{self._reference}: more than {_DOCUMENTS} manifests in one")
            self._manifests[manifest.descriptor.digest] = manifest
            self._named.update((item.digest, item) for item in named)

    def size_bytes(self, digest: str) -> int | None:
        if digest in self._manifests:
            return self._manifests[digest].descriptor.size_bytes
        if digest in self._named:
            return self._named[digest].size_bytes
        return self.ask_size(digest)

    def ask_size(self, digest: str) -> int | None:
        """The length of a blob; None where the registry said 404. Always asks."""
        call = self._call("HEAD", digest)
        answer = self._connection.call(call)
        if answer.status == 404:
            return None
        length = number(answer.headers.get("Content-Length", ""))
        if length is None:
            raise RegistryError(f"{call.subject.doing}: the registry does not say how long it is")
        return length

    def open(self, digest: str) -> BinaryIO:
        described = self._named.get(digest)
        if digest in self._manifests or (described and _is_manifest(described)):
            return io.BytesIO(self._manifest(digest).data)
        size_bytes = self.size_bytes(digest)
        if size_bytes is None:
            raise IntegrityError(f"blob {digest}: missing in {self.host}/{self.repository}")
        stream = _Download(self._connection, self._call("GET", digest), size_bytes, self._progress)
        return cast("BinaryIO", io.BufferedReader(stream, _BUFFER_BYTES))

    def _manifest(self, digest: str) -> Manifest:
        if digest not in self._manifests:
            found = find_manifest(self._connection, self._reference.at(digest))
            if found is None:
                raise IntegrityError(f"manifest {digest}: missing in {self._reference}")
            self.add(found)
        return self._manifests[digest]

    def _call(self, method: str, digest: str) -> Call:
        return Call(
            method,
            f"/v2/{self.repository}/blobs/{digest}",
            Rights(self.repository),
            Subject(f"reading blob {digest} of {self.host}/{self.repository}", self.host),
            expected=frozenset({404} if method == "HEAD" else {416}),
        )


def _is_manifest(descriptor: Descriptor) -> bool:
    return descriptor.media_type in media_types.MANIFESTS | media_types.INDEXES


class _Download(io.RawIOBase):
    """A blob as it comes; after a cut it goes on where it stopped."""

    def __init__(
        self, connection: Connection, call: Call, size_bytes: int, progress: Progress
    ) -> None:
        super().__init__()
        self._connection = connection
        self._call = call
        self._size_bytes = size_bytes
        self._progress = progress
        self._task: Task | None = None
        self._offset = 0
        self._rest = memoryview(b"")
        self._chunks = self._received()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def close(self) -> None:
        if not self.closed:
            self._chunks.close()
            if self._task is not None:
                self._task.done()
        super().close()

    def _received(self) -> Generator[bytes, None, None]:
        label = f"pulling {self._call.target.rpartition(':')[2][:12]}"
        self._task = self._progress.task(label, self._size_bytes)
        pace = self._connection.access.pace
        doing = self._call.subject.doing
        failures = 0
        for _ in range(_RESTARTS):
            before = self._offset
            try:
                yield from self._once()
            except TransientError as error:
                failures = 1 if self._offset > before else failures + 1
                if failures >= pace.attempts:
                    raise RegistryError(f"{doing}: {error}, {failures} times") from error
                pace.wait(doing, failures, error)
            else:
                return
        raise RegistryError(f"{doing}: cut off {_RESTARTS} times")

    def _once(self) -> Iterator[bytes]:
        """From where the last try stopped to the end, or one byte beyond what was promised."""
        headers = {"Accept-Encoding": "identity"}
        if self._offset:
            headers["Range"] = f"bytes={self._offset}-"
        with self._connection.opened(dataclasses.replace(self._call, headers=headers)) as response:
            skipped = self._offset - _start(response, self._offset)
            for chunk in response.chunks():
                interrupts.check()
                fresh = chunk[skipped:]
                skipped -= len(chunk) - len(fresh)
                self._offset += len(fresh)
                if fresh:
                    if self._task is not None:
                        self._task.advance(len(fresh))
                    yield fresh
                if self._offset > self._size_bytes:
                    return  # too long: whoever reads sees that, and says so
        if self._offset < self._size_bytes:
            raise TransientError(f"{self._offset} of {self._size_bytes} bytes came")


def _start(response: Response, asked: int) -> int:
    """Where in the blob the body begins."""
    if response.status == 200:
        return 0
    said = response.headers.get("Content-Range", "")
    if response.status == 206 and said.startswith(f"bytes {asked}-"):
        return asked
    raise TransientError(f"HTTP {response.status} for a part of a blob")
