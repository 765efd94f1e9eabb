# SPDX-License-Identifier: Apache-2.0
"""Where the files that a task returns are put: each at a fresh random name, so no attempts meet."""

from __future__ import annotations

import os

from .errors import OutputsError
from .storage import join, storage_for


class Place:
    """Where files that a task returns are stored; without a prefix they stay where they are."""

    __slots__ = ("prefix",)

    def __init__(self, prefix: str | None) -> None:
        self.prefix = prefix

    def keep(self, path: str) -> str:
        """Store a local file or directory, and return its URI."""
        if self.prefix is None:
            return path
        return self._store(path, os.path.basename(path), self.prefix)

    def keep_bytes(self, data: bytes, name: str) -> str:
        """Store bytes, and return their URI; for a place that has a prefix."""
        if self.prefix is None:
            raise OutputsError(f"storing {name}: there is no place for it")
        return self._store(data, name, self.prefix)

    @staticmethod
    def _store(source: str | bytes, name: str, prefix: str) -> str:
        uri = join(join(prefix, os.urandom(16).hex()), name)
        try:
            storage_for(uri).store(source, uri)
        except OSError as error:
            what = source if isinstance(source, str) else name
            raise OutputsError(f"storing {what} at {uri}: {error}") from error
        return uri
