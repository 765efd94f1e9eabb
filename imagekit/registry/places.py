# SPDX-License-Identifier: Apache-2.0
"""Where the blobs of one registry are known to be, for all pushes of a process.

Several images that are built together share layers: of pushes that want one blob, one brings it,
and the others wait and mount it, or find it there. Between processes a hint is kept of each: a
registry that has lost the blob begins an upload instead of mounting it.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import final

from imagekit.errors import BuildError
from imagekit.oci.digest import hexadecimal
from imagekit.registry.reference import check_repository


@final
class Places:
    """Any thread may use it. `hints` is a folder of this registry alone."""

    def __init__(self, hints: Path | None = None) -> None:
        self._hints = hints
        self._lock = threading.Lock()
        self._under_way: dict[str, threading.Lock] = {}
        self._repositories: dict[str, set[str]] = {}

    @contextlib.contextmanager
    def alone(self, digest: str) -> Iterator[None]:
        """Wait until nobody else brings this blob anywhere."""
        with self._lock:
            guard = self._under_way.setdefault(digest, threading.Lock())
        with guard:
            yield

    def has(self, digest: str, repository: str) -> bool:
        with self._lock:
            return repository in self._repositories.get(digest, ())

    def near(self, digest: str, repository: str) -> str:
        """Another repository that has the blob or had it, or an empty text."""
        with self._lock:
            known = min(self._repositories.get(digest, ()), default="")
        near = known or self._hint(digest)
        return "" if near == repository else near

    def add(self, digest: str, repository: str) -> None:
        """Note that the repository has the blob: it was seen there, mounted or sent."""
        with self._lock:
            known = self._repositories.setdefault(digest, set())
            first = not known
            known.add(repository)
        if first and self._hints is not None and not self._hint(digest):
            self._keep(self._hints, digest, repository)

    def _hint(self, digest: str) -> str:
        if self._hints is None:
            return ""
        try:
            return check_repository((self._hints / hexadecimal(digest)).read_text("utf-8"))
        except (OSError, UnicodeDecodeError, BuildError):
            return ""

    @staticmethod
    def _keep(folder: Path, digest: str, repository: str) -> None:
        """Without waiting for the disk: what is lost is asked for again."""
        path = folder / hexadecimal(digest)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            temporary.write_text(repository, "utf-8")
            temporary.replace(path)
