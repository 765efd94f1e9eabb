# SPDX-License-Identifier: Apache-2.0
"""Texts that are reviewed as files. `make golden` is the way to change one."""

from __future__ import annotations

import difflib
import os
from pathlib import Path


def check_golden(path: Path, found: str) -> None:
    """Compare `found` with the file; under UPDATE_GOLDEN it becomes the file instead."""
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found, encoding="utf-8")
        return
    expected = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = difflib.unified_diff(
        expected.splitlines(), found.splitlines(), str(path), "found now", lineterm=""
    )
    if found != expected:
        raise AssertionError("\n".join([*lines, "`make golden` rewrites it; review the diff"]))
