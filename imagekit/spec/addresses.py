# SPDX-License-Identifier: Apache-2.0
"""The URLs of a spec as the user wrote them, credentials and all: a lock holds none of these."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from imagekit.spec.foreign_locks import is_lock
from imagekit.spec.model import ImageSpec


def addresses(spec: ImageSpec, folder: Path) -> tuple[str, ...]:
    """Wheels and source named by URL, then package indexes. For use only, never to be written."""
    secret: tuple[str, ...] = ()
    if spec.pip_secret_mounts:
        from imagekit.spec.secret_files import netrc_addresses  # noqa: PLC0415 - most have none

        secret = tuple(netrc_addresses(spec, folder))
    return (
        *_direct(spec, folder),
        *secret,
        *filter(None, [spec.pip_index]),
        *spec.pip_extra_index_url,
    )


def _direct(spec: ImageSpec, folder: Path) -> Iterator[str]:
    for text in (*spec.packages, *requirement_lines(spec, folder)):
        if "://" in text:
            from imagekit.spec.source import address  # noqa: PLC0415 - most name no URL

            url = address(text)
            if url is not None:
                yield url


def requirement_lines(spec: ImageSpec, folder: Path) -> Iterator[str]:
    """What a requirements.txt of the spec asks for; nothing of a lock."""
    if spec.requirements is not None and not is_lock(Path(spec.requirements).name):
        from imagekit.spec.requirements_file import read  # noqa: PLC0415 - it brings a parser

        yield from (line.text for line in read(folder / spec.requirements).requirements)
