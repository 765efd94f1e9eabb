# SPDX-License-Identifier: Apache-2.0
"""Locks of other tools as requirements: one exact version of each package, with its hashes.

A module per format, chosen by the file's name; each has `pins(document, selection)`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imagekit.errors import LockError
from imagekit.lock.model import Target
from imagekit.lock.pins.selection import Pin, Selection
from imagekit.spec.foreign_locks import format_of
from imagekit.spec.model import ImageSpec

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FORMATS: Mapping[str, str] = {"poetry": "poetry", "pylock": "pylock", "uv": "uv_lock"}


def read_pins(path: Path, spec: ImageSpec, target: Target) -> tuple[Pin, ...]:
    """What the lock at `path` installs on `target`, with the spec's extras and groups.

    Raises:
        LockError: it does not read, lacks an extra or group, or holds what is no wheel.
    """
    kind = format_of(path.name)
    module = importlib.import_module(f"imagekit.lock.pins.{FORMATS[kind]}")
    document = _document(path)
    selection = Selection(str(path), frozenset(spec.extras), frozenset(spec.groups), target)
    try:
        found: dict[str, Pin] = module.pins(document, selection)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise LockError(f"{path} is not as {kind} writes it: {error!r}") from error
    return tuple(found[name] for name in sorted(found))


def _document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise LockError(f"{path} does not read: {error}") from error
