# SPDX-License-Identifier: Apache-2.0
"""Finds wheels that would write different bytes to one path.

pip and uv let the last one win, silently and in an order that nobody chose.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from imagekit.errors import BuildError
from imagekit.layers.venv import Venv
from imagekit.layers.wheel_archive import WheelArchive
from imagekit.layers.wheel_file import WheelFile
from imagekit.layers.wheel_install import Copied, Made, parents, plan


def refuse_conflicts(wheels: Sequence[WheelFile], venv: Venv) -> None:
    """Raise BuildError where two of `wheels` disagree about a path."""
    owners: dict[str, tuple[str, tuple[int, int]]] = {}
    folders: dict[str, str] = {}
    for wheel in wheels:
        with WheelArchive(wheel.path, wheel.filename) as archive:
            files = plan(archive, venv).files
        for file in files:
            _claim(owners, file, wheel.filename)
        for parent in parents(file.path for file in files):
            folders.setdefault(parent, wheel.filename)
    for path in sorted(owners.keys() & folders.keys()):
        raise _conflict(path, owners[path][0], folders[path], "a file in one, a folder in another")


def _claim(
    owners: dict[str, tuple[str, tuple[int, int]]], file: Copied | Made, filename: str
) -> None:
    content = _content(file)
    owner, other = owners.setdefault(file.path, (filename, content))
    if other != content:
        raise _conflict(file.path, owner, filename, "with different content")


def _content(file: Copied | Made) -> tuple[int, int]:
    if isinstance(file, Made):
        return zlib.crc32(file.data), len(file.data)
    return file.member.crc32, file.member.size_bytes


def _conflict(path: str, first: str, second: str, how: str) -> BuildError:
    return BuildError(
        f"{first} and {second} both write /{path}, {how}",
        hint="leave one of the two out of the spec",
    )
