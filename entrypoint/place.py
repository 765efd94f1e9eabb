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
        uri = join(join(self.prefix, os.urandom(16).hex()), os.path.basename(path))
        try:
            storage_for(uri).store(path, uri)
        except OSError as error:
            raise OutputsError(f"storing {path} at {uri}: {error}") from error
        return uri
