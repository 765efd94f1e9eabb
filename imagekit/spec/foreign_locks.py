# SPDX-License-Identifier: Apache-2.0
"""Locks that other tools made, as `requirements` of a spec: told by their names."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Literal

from imagekit.errors import Problem, SpecError

Format = Literal["uv", "poetry", "pylock"]

_PYLOCK = re.compile(r"pylock(\.[^.]+)?\.toml")


def is_lock(name: str) -> bool:
    """Whether a file of that name is a lock of a known format."""
    return name in ("uv.lock", "poetry.lock") or _PYLOCK.fullmatch(name) is not None


def format_of(name: str) -> Format:
    """The format of a lock of that name."""
    if name == "uv.lock":
        return "uv"
    return "poetry" if name == "poetry.lock" else "pylock"


def content_digest(path: Path) -> str:
    """Of the file's text, so that a lock of ours is known to be older.

    Raises:
        SpecError: it can't be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SpecError(str(path), [Problem(f"can't be read: {error.strerror}")]) from error
    return hashlib.sha256(data.replace(b"\r\n", b"\n")).hexdigest()
