# SPDX-License-Identifier: Apache-2.0
"""The URLs of a spec as the user wrote them, credentials and all: a lock holds none of these."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from imagekit.spec.foreign_locks import is_lock
from imagekit.spec.model import ImageSpec


def addresses(spec: ImageSpec, folder: Path) -> tuple[str, ...]:
    """Wheels that are named by URL, then package indexes. For use only, never to be written."""
    return (*_direct(spec, folder), *filter(None, [spec.pip_index]), *spec.pip_extra_index_url)


def _direct(spec: ImageSpec, folder: Path) -> Iterator[str]:
    for text in (*spec.packages, *_lines(spec, folder)):
        if "://" in text:
            from imagekit.spec.requirement import parse  # noqa: PLC0415 - most name no URL

            url = parse(text).url
            if url is not None:
                yield url


def _lines(spec: ImageSpec, folder: Path) -> Iterator[str]:
    if spec.requirements is not None and not is_lock(Path(spec.requirements).name):
        from imagekit.spec.requirements_file import read  # noqa: PLC0415 - it brings a parser

        yield from (line.text for line in read(folder / spec.requirements).requirements)
