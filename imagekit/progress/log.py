# SPDX-License-Identifier: Apache-2.0
"""The whole log of a run, in a file that the user can send to somebody."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TextIO, final

_KEPT = 50


@final
class LogFile:
    """A file in `folder`, which is made when the first line is written; older ones make room.

    Only its owner can read it. A log that can't be written costs no build: it ends there.
    """

    def __init__(self, folder: Path, verb: str) -> None:
        self._folder = folder
        self._verb = verb
        self._stream: TextIO | None = None
        self.path: Path | None = None
        self.failure = ""

    def write(self, text: str) -> None:
        try:
            if self._stream is None and not self.failure:
                self._stream = self._opened()
            if self._stream is not None:
                self._stream.write(text)
                self._stream.flush()
        except OSError as error:
            self.failure = error.strerror or str(error)
            self.close()

    def flush(self) -> None:
        """Every write is."""

    def close(self) -> None:
        if self._stream is not None:
            with contextlib.suppress(OSError):
                self._stream.close()
            self._stream = None

    def _opened(self) -> TextIO:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for old in sorted(self._folder.glob("*.log"))[: 1 - _KEPT]:
            old.unlink(missing_ok=True)
        begun = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        self.path = self._folder / f"{begun}-{os.getpid()}-{self._verb}.log"
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        return os.fdopen(descriptor, "w", encoding="utf-8", errors="replace")
