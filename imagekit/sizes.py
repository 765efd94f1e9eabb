# SPDX-License-Identifier: Apache-2.0
"""Sizes for people."""

from __future__ import annotations


def shown_size(size_bytes: int) -> str:
    """Decimal units, as package indexes and registries write sizes."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB"):
        if abs(size) < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
