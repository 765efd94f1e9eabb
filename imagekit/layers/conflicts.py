# SPDX-License-Identifier: Apache-2.0
"""Finds wheels that would write different bytes to one path.

pip and uv let the last one win, silently and in an order that nobody chose. This runs inside
containers too (`refuse_installed`), so it stands on little else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from imagekit.errors import BuildError


class Writes(Protocol):
    """A wheel; of each path, two marks that tell what is written there."""

    @property
    def filename(self) -> str: ...

    @property
    def files(self) -> Sequence[tuple[str, object, object]]: ...


def refuse_conflicts(wheels: Iterable[Writes]) -> None:
    """Raise BuildError where two of `wheels` disagree about a path."""
    owners: dict[str, tuple[str, tuple[object, object]]] = {}
    folders: dict[str, str] = {}
    for wheel in wheels:
        for path, *content in wheel.files:
            _claim(owners, path, (content[0], content[1]), wheel.filename)
        for parent in parents(path for path, *_ in wheel.files):
            folders.setdefault(parent, wheel.filename)
    for path in sorted(owners.keys() & folders.keys()):
        raise _conflict(path, owners[path][0], folders[path], "a file in one, a folder in another")


def parents(paths: Iterable[str]) -> set[str]:
    """All folders above any of `paths`."""
    found: set[str] = set()
    for path in paths:
        parent = path.rpartition("/")[0]
        while parent and parent not in found:
            found.add(parent)
            parent = parent.rpartition("/")[0]
    return found


def _claim(
    owners: dict[str, tuple[str, tuple[object, object]]],
    path: str,
    content: tuple[object, object],
    filename: str,
) -> None:
    owner, other = owners.setdefault(path, (filename, content))
    if other != content:
        raise _conflict(path, owner, filename, "with different content")


def _conflict(path: str, first: str, second: str, how: str) -> BuildError:
    return BuildError(
        f"{first} and {second} both write /{path}, {how}",
        hint="leave one of the two out of the spec",
    )
