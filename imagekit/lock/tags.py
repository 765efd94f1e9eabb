# SPDX-License-Identifier: Apache-2.0
"""Which wheel a target takes (PEP 425, PEP 600), asked about a machine that is not this one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

from imagekit.lock.model import Target

_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_OLDEST_GLIBC_MINOR = {"x86_64": 5, "aarch64": 17}


def platform_tags(target: Target) -> Iterator[str]:
    """Best first: wheels made for just such a machine, then the newest glibc to the oldest."""
    machine = target.machine
    yield f"linux_{machine}"
    for minor in range(target.glibc_minor, _OLDEST_GLIBC_MINOR[machine] - 1, -1):
        yield f"manylinux_2_{minor}_{machine}"
        if minor in _LEGACY:
            yield f"{_LEGACY[minor]}_{machine}"


def supported_tags(target: Target) -> tuple[Tag, ...]:
    """Every tag that runs on `target`, best first."""
    version = target.python_minor
    interpreter = f"cp{version[0]}{version[1]}"
    platforms = tuple(platform_tags(target))
    return (
        *cpython_tags(version, abis=[interpreter], platforms=platforms),
        *compatible_tags(version, interpreter=interpreter, platforms=platforms),
    )


def best_wheel(filenames: Iterable[str], tags: tuple[Tag, ...]) -> str | None:
    """The one of `filenames` that an installer would take; None when none of them runs."""
    ranks = {tag: rank for rank, tag in enumerate(tags)}
    best: tuple[int, tuple[int, str], str] | None = None
    for filename in filenames:
        _, _, build, wheel_tags = parse_wheel_filename(filename)
        rank = min((ranks[tag] for tag in wheel_tags if tag in ranks), default=None)
        if rank is None:
            continue
        candidate = (-rank, build or (-1, ""), filename)
        if best is None or candidate > best:
            best = candidate
    return None if best is None else best[2]
