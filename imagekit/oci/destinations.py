# SPDX-License-Identifier: Apache-2.0
"""Where images go and come from, written as containers-transports(5) writes it.

What writes and reads a kind of place is loaded when that is done.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from imagekit.errors import BuildError
from imagekit.oci.reference import Reference
from imagekit.values import frozen

if TYPE_CHECKING:
    from imagekit.oci.blobs import BlobSource
    from imagekit.oci.descriptor import Platform
    from imagekit.oci.document import Document
    from imagekit.oci.image import Image
    from imagekit.oci.index import Named

Transport = Literal["oci", "oci-archive", "docker-archive"]

_TRANSPORTS: Mapping[str, Transport] = {
    "oci": "oci",
    "oci-archive": "oci-archive",
    "docker-archive": "docker-archive",
}


@frozen
class Destination:
    """`path` is a folder for `oci`, else a file; `reference` is the image's name in there."""

    transport: Transport
    path: Path
    reference: str | None = None

    def __str__(self) -> str:
        return ":".join(filter(None, (self.transport, str(self.path), self.reference)))

    @classmethod
    def parse(cls, text: str, folder: Path = Path()) -> Destination:
        """Read `oci:DIR[:REF]`, `oci-archive:FILE[:REF]` or `docker-archive:FILE[:NAME:TAG]`.

        Args:
            text: a path in it can hold no colon, as everywhere with these names.
            folder: what a relative path starts from.
        """
        transport, _, rest = text.partition(":")
        path, _, reference = rest.partition(":")
        if transport not in _TRANSPORTS or not path:
            raise BuildError(
                f"not a place for an image: {text!r}",
                hint="oci:DIR[:REF], oci-archive:FILE[:REF], docker-archive:FILE[:NAME:TAG], "
                "docker://HOST/NAME:TAG or docker-daemon:NAME:TAG",
            )
        if transport == "docker-archive" and reference:
            reference = Reference.parse(reference).tagged
        return cls(_TRANSPORTS[transport], folder / path, reference or None)


def write_image(image: Named, destination: Destination) -> None:
    """Write an image, or those of several platforms, there, whole or not at all.

    Raises:
        BuildError: it can't be written.
        IntegrityError: a layer is not what it was.
    """
    try:
        _WRITERS[destination.transport](image, destination.path, destination.reference)
    except OSError as error:
        hint = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else None
        raise BuildError(f"writing {destination}: {error.strerror or error}", hint=hint) from error


def read_image(source: Destination, platform: Platform | None = None) -> Image:
    """The image that `source` names, or its only one; of several platforms, `platform`'s.

    Raises:
        BuildError: there is no such image.
        IntegrityError: it is not what it says it is.
    """
    from imagekit.oci.docker_archive import read_docker_archive  # noqa: PLC0415
    from imagekit.oci.selection import select_image  # noqa: PLC0415

    with _clear_errors(source):
        if source.transport == "docker-archive":
            return read_docker_archive(source.path, source.reference, platform)
        return select_image(*_opened(source), source.reference, platform)


def read_all(source: Destination) -> Named:
    """As `read_image`, with the images of all platforms where `source` means an index."""
    from imagekit.oci.docker_archive import read_docker_archive  # noqa: PLC0415
    from imagekit.oci.selection import select_all  # noqa: PLC0415

    with _clear_errors(source):
        if source.transport == "docker-archive":
            return read_docker_archive(source.path, source.reference, None)
        return select_all(*_opened(source), source.reference)


def _opened(source: Destination) -> tuple[BlobSource, Document]:
    if source.transport == "oci":
        from imagekit.oci.layout import LayoutBlobs, read_index  # noqa: PLC0415

        return LayoutBlobs(source.path), read_index(source.path)
    from imagekit.oci.archive import open_oci_archive  # noqa: PLC0415

    return open_oci_archive(source.path)


@contextlib.contextmanager
def _clear_errors(source: Destination) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BuildError(f"reading {source}: {error.strerror or error}") from error


def _write_layout(image: Named, path: Path, reference: str | None) -> None:
    from imagekit.oci.layout import write_layout  # noqa: PLC0415

    write_layout(image, path, reference)


def _write_oci_archive(image: Named, path: Path, reference: str | None) -> None:
    from imagekit.oci.archive import write_oci_archive  # noqa: PLC0415

    write_oci_archive(image, path, reference)


def _write_docker_archive(image: Named, path: Path, reference: str | None) -> None:
    from imagekit.oci.archive import write_docker_archive  # noqa: PLC0415
    from imagekit.oci.index import ImageIndex  # noqa: PLC0415

    if isinstance(image, ImageIndex):
        raise BuildError(
            f"docker-archive:{path}: holds one platform, and this image has several",
            hint="oci-archive:FILE and oci:DIR hold them all",
        )
    write_docker_archive(image, path, () if reference is None else (reference,))


_WRITERS: Mapping[Transport, Callable[[Named, Path, str | None], None]] = {
    "oci": _write_layout,
    "oci-archive": _write_oci_archive,
    "docker-archive": _write_docker_archive,
}
