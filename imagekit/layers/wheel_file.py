# SPDX-License-Identifier: Apache-2.0
"""A wheel on disk."""

from __future__ import annotations

from pathlib import Path

from imagekit.values import frozen


@frozen
class WheelFile:
    """Where it lies, and the name that its index gave it."""

    path: Path
    filename: str
    sha256: str
