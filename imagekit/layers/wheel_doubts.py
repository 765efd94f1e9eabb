# SPDX-License-Identifier: Apache-2.0
"""What the list of a zip file's members gives away before any of them is read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Protocol

from imagekit.errors import IntegrityError

_LARGE_BYTES = 1 << 30
_TIMES = 200
"""Wheels inflate to some four times their size; deflate itself goes to 1,032 times."""

_MEMBERS = 200_000
_PATH_BYTES = 4095
_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class Listed(Protocol):
    """A member as the central directory has it; what is stored comes to `size_bytes`."""

    @property
    def name(self) -> str: ...

    @property
    def stored_bytes(self) -> int: ...

    @property
    def size_bytes(self) -> int: ...


def refuse_name(name: str, original: str, source: str) -> None:
    """Raise IntegrityError for what is no plain path inside a wheel."""
    parts = name.split("/")
    plain = all(part not in ("", ".", "..") for part in parts)
    if not plain or "\0" in original or "\\" in name or _DRIVE.match(name) or _CONTROL.search(name):
        raise IntegrityError(f"{source}: {name!r} is not a path inside a wheel")
    if len(name.encode()) > _PATH_BYTES or any(len(part.encode()) > 255 for part in parts):
        raise IntegrityError(f"{source}: {name[:80]!r}... is longer than a path may be")


def refuse_twins(names: Iterable[str], source: str) -> None:
    """Raise IntegrityError where names are the same, or would be on some file systems."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise IntegrityError(f"{source}: {other} and {name} differ in case alone")


def refuse_bomb(members: Sequence[Listed], archive_bytes: int, source: str) -> None:
    """Raise IntegrityError where the members come to more than so small a file can mean."""
    if len(members) > _MEMBERS:
        raise IntegrityError(f"{source}: {len(members)} files are too many for a wheel")
    if sum(member.stored_bytes for member in members) > archive_bytes:
        raise IntegrityError(f"{source}: its files lie over each other")
    inflated = sum(member.size_bytes for member in members)
    if inflated > max(_LARGE_BYTES, _TIMES * archive_bytes):
        raise IntegrityError(
            f"{source}: {archive_bytes} bytes that come to {inflated} are no wheel but a bomb"
        )
