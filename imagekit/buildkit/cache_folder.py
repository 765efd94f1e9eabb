# SPDX-License-Identifier: Apache-2.0
"""A worker's cache in a folder of this machine: an OCI layout, as buildctl and buildx keep one."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, final

import grpc

from imagekit.errors import BuildError, IntegrityError
from imagekit.files import replacing
from imagekit.oci.descriptor import REFERENCE_NAME
from imagekit.oci.digest import check
from imagekit.oci.layout import LAYOUT_FILE, LayoutBlobs, add_to_layout, read_index

_COMMIT = 2
_Messages = Iterator[dict[str, Any]]


@final
class CacheFolder:
    """What a build keeps there has a name in the layout's index; blobs of other names stay."""

    def __init__(self, directory: Path, name: str = "latest") -> None:
        self._directory = directory
        self._name = name
        self._blobs = LayoutBlobs(directory)

    @property
    def identifier(self) -> str:
        """What the worker calls the folder; a path could not stand in a header."""
        return hashlib.sha256(os.fsencode(self._directory)).hexdigest()

    def digest(self) -> str | None:
        """Of what was kept last, if anything was. Raises BuildError for another kind of folder."""
        if not (self._directory / LAYOUT_FILE).exists():
            return None
        for item in read_index(self._directory).objects("manifests"):
            if item.text_map("annotations").get(REFERENCE_NAME) == self._name:
                return item.text("digest")
        return None

    def keep(self, descriptor: Mapping[str, Any]) -> None:
        """Give the name to what a worker has written."""
        add_to_layout(self._directory, descriptor, self._name)

    def size_bytes(self, digest: str) -> int | None:
        return self._blobs.size_bytes(digest)

    def open(self, digest: str) -> BinaryIO:
        return self._blobs.open(digest)

    def write(self, messages: _Messages, context: grpc.ServicerContext) -> _Messages:
        """Take one blob as containerd's Content.Write; it is there when its digest was right."""
        first = next(messages, {})
        expected = first.get("expected", "")
        try:
            if self._blobs.size_bytes(check(expected)) is not None:
                context.abort(grpc.StatusCode.ALREADY_EXISTS, f"blob {expected} is there")
            with replacing(self._blobs.path(expected)) as stream:
                last = yield from _Blob(stream, expected).take(itertools.chain([first], messages))
        except (BuildError, IntegrityError) as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, error.message)
        else:
            yield last


@final
class _Blob:
    def __init__(self, stream: BinaryIO, expected: str) -> None:
        self._stream = stream
        self._expected = expected
        self._digest = hashlib.sha256()
        self._offset = 0

    def take(self, messages: _Messages) -> Generator[dict[str, Any], None, dict[str, Any]]:
        """Write what they bring, and answer each; the last one's answer is returned."""
        for message in messages:
            self._write(message.get("data", b""), message.get("offset", 0))
            action = message.get("action", 0)
            answer = {"action": action, "offset": self._offset, "total": message.get("total", 0)}
            if action == _COMMIT:
                return {**answer, "digest": self._committed()}
            yield answer
        raise IntegrityError(f"blob {self._expected} was not written to its end")

    def _write(self, data: bytes, offset: int) -> None:
        if data and offset != self._offset:
            raise IntegrityError(f"blob {self._expected} goes on at byte {self._offset}")
        self._stream.write(data)
        self._digest.update(data)
        self._offset += len(data)

    def _committed(self) -> str:
        found = "sha256:" + self._digest.hexdigest()
        if found != self._expected:
            raise IntegrityError(f"blob {self._expected}: {found} was written")
        return found
