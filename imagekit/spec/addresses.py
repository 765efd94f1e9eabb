# SPDX-License-Identifier: Apache-2.0
"""The URLs of a spec as the user wrote them, credentials and all: a lock holds none of these."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from imagekit.spec.model import ImageSpec
from imagekit.spec.requirement import parse
from imagekit.spec.requirements_file import read


def addresses(spec: ImageSpec, folder: Path) -> tuple[str, ...]:
    """Wheels that are named by URL, then package indexes. For use only, never to be written."""
    return (*_direct(spec, folder), *filter(None, [spec.pip_index]), *spec.pip_extra_index_url)


def _direct(spec: ImageSpec, folder: Path) -> Iterator[str]:
    lines = () if spec.requirements is None else read(folder / spec.requirements).requirements
    for text in (*spec.packages, *(line.text for line in lines)):
        if "://" in text:
            url = parse(text).url
            if url is not None:
                yield url
