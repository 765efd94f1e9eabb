# SPDX-License-Identifier: Apache-2.0
"""Debian version numbers and their order (deb-version(7))."""

from __future__ import annotations

import re
from functools import total_ordering

from imagekit.errors import IntegrityError

_VERSION = re.compile(r"(?:([0-9]+):)?([A-Za-z0-9.+~-]+?)(?:-([A-Za-z0-9+.~]+))?")
_PART = re.compile(r"([^0-9]*)([0-9]*)")
_Pair = tuple[tuple[int, ...], int]


@total_ordering
class Version:
    """`[epoch:]upstream[-revision]`; equal to others that sort the same, such as 1.0 and 1.00."""

    __slots__ = ("_key", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        matched = _VERSION.fullmatch(text)
        if matched is None or matched[2].endswith("-"):
            raise IntegrityError(f"not a Debian version: {text[:80]!r}")
        epoch, upstream, revision = matched.groups(default="")
        self._key = (int(epoch or 0), _sort_key(upstream), _sort_key(revision))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._key == other._key

    def __lt__(self, other: Version) -> bool:
        return self._key < other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        return f"Version({self.text!r})"


def satisfies(version: Version, relation: str, wanted: Version) -> bool:
    """Whether `version` stands in `relation` (`<<`, `<=`, `=`, `>=`, `>>`) to `wanted`."""
    match relation:
        case "<<":
            return version < wanted
        case "<=" | "<":
            return version <= wanted
        case "=":
            return version == wanted
        case ">=" | ">":
            return version >= wanted
        case ">>":
            return version > wanted
        case _:
            raise ValueError(f"not a relation between versions: {relation!r}")


def _sort_key(text: str) -> tuple[_Pair, ...]:
    """Non-digits and numbers in turn. The end of a part sorts after `~` and before all else."""
    # An absent revision is revision 0. The last match is always empty: it stands for the end.
    matches = _PART.findall(text or "0")
    return tuple(((*map(_weight, letters), 0), int(digits or 0)) for letters, digits in matches)


def _weight(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256
