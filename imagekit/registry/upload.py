# SPDX-License-Identifier: Apache-2.0
"""The bytes of one blob on their way into a repository.

Small blobs go in one request, large ones in parts, so that a cut connection costs a part. Where a
registry forgets an upload, or can't take parts, the blob is sent anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from typing import BinaryIO
from urllib.parse import quote, urljoin

from imagekit import interrupts
from imagekit.errors import BuildError, IntegrityError, RegistryError
from imagekit.oci.blobs import CheckedStream
from imagekit.progress import Progress, Task
from imagekit.registry.auth import Rights
from imagekit.registry.connection import Call, Connection
from imagekit.registry.errors import Subject, TransientError
from imagekit.registry.exchange import Answer, number
from imagekit.values import frozen

PART_BYTES = 32 << 20
_SENDERS = 4
_CHUNK_BYTES = 1 << 18
_NO_PARTS = frozenset({400, 405, 411, 413, 501})
_LOST = frozenset({404, 416})
_SPARE_TRIES = 20


@frozen
class Blob:
    """`open` gives all of its bytes, each time it is called; the caller closes them."""

    digest: str
    size_bytes: int
    open: Callable[[], BinaryIO]


class StoppedError(Exception):
    """Something else of the same push has failed: there is no use in going on."""


@frozen
class Target:
    """Where blobs go, and how.

    Attributes:
        stopped: set when sending is to end.
        sending: held while a blob's bytes are sent.
        count: called with every number of bytes that is sent, in vain or not.
        part_bytes: larger blobs are sent in parts of that size.
    """

    connection: Connection
    repository: str
    progress: Progress
    count: Callable[[int], object]
    part_bytes: int = PART_BYTES
    stopped: threading.Event = field(default_factory=threading.Event)
    sending: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_SENDERS))

    @property
    def rights(self) -> Rights:
        return Rights(self.repository, writes=True)

    @property
    def subject(self) -> Subject:
        host = self.connection.host
        return Subject(f"pushing {host}/{self.repository}", host, may="write there")


def begin(target: Target, query: str, rights: Rights) -> Answer:
    """Open an upload; 201 says that the blob was mounted, 202 that its bytes may come."""
    path = f"/v2/{target.repository}/blobs/uploads/{query}"
    answer = target.connection.call(Call("POST", path, rights, target.subject))
    if answer.status not in (201, 202):
        raise target.connection.refused(target.subject, answer)
    return answer


def place_of(answer: Answer, subject: Subject) -> str:
    """The URL at which an upload goes on."""
    location = answer.headers.get("Location", "")
    if not location:
        raise RegistryError(f"{subject.doing}: the registry names no place for the upload")
    try:
        return urljoin(answer.url, location)
    except ValueError:
        raise RegistryError(
            f"{subject.doing}: the registry names a URL that makes no sense"
        ) from None


def upload(target: Target, blob: Blob, place: str = "") -> None:
    """Send a blob.

    Args:
        target: where it goes.
        blob: what goes there.
        place: of an upload that was begun already; empty for a new one.

    Raises:
        RegistryError: the registry refuses it, or can't be reached.
        IntegrityError: the blob is not what it should be.
        StoppedError: `target.stopped` was set.
    """
    task = target.progress.task(f"pushing {blob.digest[7:19]}", blob.size_bytes)
    try:
        _Upload(target, blob, task).run(place)
    finally:
        task.done()


class _Upload:
    def __init__(self, target: Target, blob: Blob, task: Task) -> None:
        self._target = target
        self._blob = blob
        self._task = task
        self._shown = 0
        self._in_parts = blob.size_bytes > target.part_bytes

    def run(self, place: str) -> None:
        begun = [place] if place else []

        def attempt() -> None:
            self._show(0)
            self._send_to(begun.pop() if begun else self._begun())

        self._target.connection.access.pace.retrying(self._target.subject.doing, attempt)

    def _begun(self) -> str:
        return place_of(begin(self._target, "", self._target.rights), self._target.subject)

    def _send_to(self, place: str) -> None:
        if self._in_parts:
            place = self._parts(place)
        start = self._blob.size_bytes if self._in_parts else 0
        digest = quote(self._blob.digest, safe="")
        url = f"{place}{'&' if '?' in place else '?'}digest={digest}"
        answer = self._send("PUT", url, start, self._blob.size_bytes)
        if answer.status in _LOST:
            raise TransientError(f"the registry has lost the upload (HTTP {answer.status})")
        if answer.status >= 400:
            raise self._refused(answer)

    def _parts(self, place: str) -> str:
        """Send all parts; returns where the upload is to be finished."""
        offset, failures = 0, 0
        size_bytes, part_bytes = self._blob.size_bytes, self._target.part_bytes
        for _ in range(2 * (size_bytes // part_bytes + 1) + _SPARE_TRIES):
            if offset == size_bytes:
                return place
            try:
                offset, place = self._part(place, offset, min(offset + part_bytes, size_bytes))
                failures = 0
            except _OverError:
                raise
            except TransientError as error:
                failures += 1
                pace = self._target.connection.access.pace
                if failures >= pace.attempts:
                    raise
                pace.wait(self._target.subject.doing, failures, error)
                offset, place = self._asked(place)
        raise TransientError("the registry takes the parts too slowly")

    def _part(self, place: str, start: int, end: int) -> tuple[int, str]:
        """Send one part; where the next one starts, and goes."""
        headers = {"Content-Range": f"{start}-{end - 1}"}
        answer = self._send("PATCH", place, start, end, headers)
        if answer.status == 416:
            return self._asked(place)
        if answer.status == 404:
            raise TransientError("the registry has lost the upload (HTTP 404)")
        if answer.status in _NO_PARTS and start == 0:
            self._in_parts = False
            raise _OverError(answer.status)
        if answer.status >= 400:
            raise self._refused(answer)
        return self._taken(answer, end), place_of(answer, self._target.subject)

    def _asked(self, place: str) -> tuple[int, str]:
        """How far the upload has come, in the registry's view, and where it goes on."""
        rights, subject = self._target.rights, self._target.subject
        lost = frozenset(range(400, 500)) - {401, 403}
        answer = self._target.connection.call(Call("GET", place, rights, subject, expected=lost))
        if answer.status >= 400:
            raise _OverError(answer.status)
        further = answer.headers.get("Location")
        return self._taken(answer, 0), place_of(answer, subject) if further else place

    def _taken(self, answer: Answer, default: int) -> int:
        """How many bytes the registry has, by its header Range: `0-LAST`."""
        first, _, end = answer.headers.get("Range", "").removeprefix("bytes=").partition("-")
        last = number(end)
        if first != "0" or last is None:
            return default
        taken = last + 1 if last else 0
        if taken > self._blob.size_bytes:
            raise RegistryError(f"{self._target.subject.doing}: the registry has bytes never sent")
        return taken

    def _send(
        self, method: str, url: str, start: int, end: int, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send the bytes from `start` to before `end`; one try."""
        call = Call(
            method,
            url,
            self._target.rights,
            self._target.subject,
            {"Content-Type": "application/octet-stream", **(headers or {})},
            _Body(end - start, lambda: self._chunks(start, end)),
            expected=frozenset({400, 404, 405, 411, 413, 416, 501}),
            again=False,
        )
        return self._target.connection.call(call)

    def _chunks(self, start: int, end: int) -> Iterator[bytes]:
        self._show(start)
        try:
            with self._blob.open() as stream:
                _skip(stream, start)
                yield from self._read(stream, end - start)
                if end == self._blob.size_bytes and stream.read(1):
                    raise IntegrityError(f"layer {self._blob.digest}: longer than it should be")
        except OSError as error:
            raise BuildError(f"reading layer {self._blob.digest}: {error.strerror}") from error

    def _read(self, stream: BinaryIO, left: int) -> Iterator[bytes]:
        while left:
            interrupts.check()
            if self._target.stopped.is_set():
                raise StoppedError
            chunk = stream.read(min(left, _CHUNK_BYTES))
            if not chunk:
                raise IntegrityError(f"layer {self._blob.digest}: shorter than it should be")
            left -= len(chunk)
            yield chunk
            self._target.count(len(chunk))
            self._show(self._shown + len(chunk))

    def _show(self, offset: int) -> None:
        self._task.advance(offset - self._shown)
        self._shown = offset

    def _refused(self, answer: Answer) -> Exception:
        refusal = self._target.connection.refused(self._target.subject, answer)
        if refusal.code != "DIGEST_INVALID":
            return refusal
        # Either the file here is wrong, for which there is no remedy, or its way there was.
        with self._blob.open() as stream:
            checked = CheckedStream(stream, self._blob.digest, self._blob.size_bytes)
            while checked.read(_CHUNK_BYTES):
                pass
        return TransientError("other bytes arrived than were sent (DIGEST_INVALID)")


class _OverError(TransientError):
    """This upload is over; a new one may do."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the registry does not go on with the upload (HTTP {status})", 0.0)


@frozen
class _Body:
    size_bytes: int
    chunks: Callable[[], Iterator[bytes]]


def _skip(stream: BinaryIO, count: int) -> None:
    if stream.seekable():
        stream.seek(count)
        return
    while count:
        skipped = len(stream.read(min(count, _CHUNK_BYTES)))
        if not skipped:
            return
        count -= skipped
