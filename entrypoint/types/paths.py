# SPDX-License-Identifier: Apache-2.0
"""pathlib.Path: a file, fetched before the task starts, as a Path is always a local one."""

from __future__ import annotations

from pathlib import Path

from . import EXACTLY
from .files import FileType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class PathType(FileType):
    def fits(self, value: Any) -> int:
        return EXACTLY if isinstance(value, Path) else super().fits(value)

    def _given(self, uri: str) -> Path:
        return Path(super()._given(uri).path)
