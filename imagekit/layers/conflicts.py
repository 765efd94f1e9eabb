# SPDX-License-Identifier: Apache-2.0
"""Finds wheels that would write different bytes to one path.

pip and uv let the last one win, silently and in an order that nobody chose.
"""

from __future__ import annotations

from collections.abc import Iterable

from imagekit.errors import BuildError
from imagekit.layers.claims import Claims
from imagekit.layers.wheel_install import parents


def refuse_conflicts(wheels: Iterable[Claims]) -> None:
    """Raise BuildError where two of `wheels` disagree about a path."""
    owners: dict[str, tuple[str, tuple[int, int]]] = {}
    folders: dict[str, str] = {}
    for wheel in wheels:
        for path, *content in wheel.files:
            _claim(owners, path, (content[0], content[1]), wheel.filename)
        for parent in parents(path for path, *_ in wheel.files):
            folders.setdefault(parent, wheel.filename)
    for path in sorted(owners.keys() & folders.keys()):
        raise _conflict(path, owners[path][0], folders[path], "a file in one, a folder in another")


def _claim(
    owners: dict[str, tuple[str, tuple[int, int]]],
    path: str,
    content: tuple[int, int],
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
