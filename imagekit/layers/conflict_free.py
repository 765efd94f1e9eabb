# SPDX-License-Identifier: Apache-2.0
"""Which sets of wheels were found free of conflicts (`conflicts.py`), without a look at them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from imagekit.files import replacing
from imagekit.layers import formats
from imagekit.layers.venv import Venv
from imagekit.usage import used


class ConflictFree:
    """Remembers, in a folder, which sets of wheels were found free of conflicts."""

    def __init__(self, seen: Path, venv: Venv, digests: Iterable[str]) -> None:
        content = "\n".join([formats.WHEELS, venv.version, *sorted(digests)])
        self.key = hashlib.sha256(content.encode()).hexdigest()
        self._mark = seen / self.key

    def __bool__(self) -> bool:
        return used(self._mark)

    def remember(self) -> None:
        with replacing(self._mark):
            pass
